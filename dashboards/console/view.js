// Data to elements. Text is set as text, never as markup: names and reasons are foreign.

import {
  clockTime, fullTime, place, plainWord, secondsBetween, sentence, ticking, tone,
} from "./words.js";

const MARKS = {
  ready: "✓", held: "‖", cooling: "✕", disabled: "–", suppressed: "≈", trial: "?", probing: "…", drained: "▽",
  ok: "✓", failed: "✕", skipped: "–", cancelled: "–",
};

/** What a state means, for who points at it. */
const STATES = {
  ready: "may be used",
  held: "usable, but its fallback cooldown puts it behind the others of this route",
  cooling: "nothing of it is tried now",
  suppressed: "usable, but it makes the route flap and stands behind the others",
  trial: "its rest is over; the next request that may test it will",
  probing: "its rest is over, and one request is testing it",
  drained: "an operator lets it take no new requests",
  disabled: "it has no credential",
};

const WAITING_SHOWN = 100; // Fewer are what one moment brings.
const PENALTY_SHOWN = 50; // A twentieth of one departure: below it says nothing.

/** An element: `class` and other attributes, `data` for data-*, then its children. */
export function make(tag, {data = {}, ...attributes} = {}, ...children) {
  const found = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) found.setAttribute(name, value === true ? "" : value);
  }
  for (const [name, value] of Object.entries(data)) {
    if (value !== undefined && value !== null) found.dataset[name] = value;
  }
  found.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return found;
}

const hearingOnly = (text) => make("span", {class: "hearing-only"}, text);

function chip(state) {
  return make("span", {class: "chip", title: STATES[state], data: {state}},
    make("span", {class: "mark", "aria-hidden": "true"}, MARKS[state] ?? "•"), plainWord(state));
}

/** Counts down to `until`; `tick` keeps it true. */
function countdown(until, now, title = "") {
  return make("span", {class: "countdown", title, data: {until}}, ticking(secondsBetween(now, until)));
}

/** All countdowns and lengths of stay on the page, brought to `now` (Unix microseconds). */
export function tick(now) {
  for (const each of document.querySelectorAll("[data-until]")) {
    const left = secondsBetween(now, Number(each.dataset.until));
    if (each.tagName === "PROGRESS") each.value = Math.max(0, left);
    else each.textContent = left > 0 ? ticking(left) : "now";
  }
  for (const each of document.querySelectorAll("[data-since]")) {
    const stay = secondsBetween(Number(each.dataset.since), now);
    each.textContent = ticking(Math.floor(stay));
  }
}

export function facts(status) {
  const store = status.store;
  const waiting = store.queued_events >= WAITING_SHOWN ? `, ${store.queued_events} waiting` : "";
  const healthy = store.ok && !store.dropped;
  const told = store.ok ? (store.dropped ? `${store.dropped} events lost` : `ok${waiting}`) : "failing";
  const fact = (name, ...value) => make("div", {}, make("dt", {}, name), make("dd", {}, ...value));
  return [
    fact("Version", status.version),
    fact("Up", make("span", {data: {since: status.started}}, ticking(Math.floor(status.uptime_seconds)))),
    fact("Configuration", make("span", {title: status.config_path ?? "no file"}, status.config_version)),
    fact("Store", make("span", {
      class: healthy ? "good" : "bad", title: store.ok ? store.path : `${store.path}: ${store.last_error}`,
    }, make("span", {class: "mark", "aria-hidden": "true"}, healthy ? "✓ " : "✕ "), told)),
  ];
}

export function summary(status) {
  const targets = status.routes.flatMap((route) => route.targets);
  const keys = status.providers.flatMap((provider) => provider.credentials);
  const inFlight = status.providers.reduce((sum, provider) => sum + provider.in_flight, 0);
  const first = status.routes.filter((route) => route.targets[0]?.active).length;
  const ready = (rows) => rows.filter((row) => row.state === "ready").length;
  const share = (name, part, whole) => make("li", {data: {tone: part === whole ? "good" : "warn"}},
    make("span", {class: "figure"}, String(part), make("small", {}, ` of ${whole}`)), name);
  return [
    share("routes on their first target", first, status.routes.length),
    share("targets ready", ready(targets), targets.length),
    share("credentials ready", ready(keys), keys.length),
    make("li", {}, make("span", {class: "figure"}, String(inFlight)), "attempts in flight"),
  ];
}

export function routes(status) {
  if (!status.routes.length) {
    return [make("p", {class: "card empty"}, "No routes are configured; clients name targets as provider/model.")];
  }
  return status.routes.map((route) => routeCard(route, status.now));
}

function routeCard(route, now) {
  const place = route.targets.findIndex((each) => each.active);
  const first = place === 0;
  return make("article", {class: "card route"},
    make("div", {class: "route-head"},
      make("h3", {}, route.route),
      make("span", {class: "badge", data: {tone: first ? "good" : "warn"}},
        first ? "first target" : `fallback, target ${place + 1} of ${route.targets.length}`),
      flappingBadge(route), pinBadge(route, now),
      make("p", {class: "serving"}, "served by ", make("strong", {}, route.active), " for ",
        make("span", {class: "number", data: {since: route.active_since}}, ticking(Math.floor(route.dwell_seconds))))),
    make("ol", {class: "targets"}, route.targets.map((each) => targetRow(each, now))),
    crowd(route));
}

function flappingBadge(route) {
  if (!route.flapping) return null;
  const damped = route.targets.filter((each) => each.suppressed).map((each) => each.target).join(", ");
  return make("span", {class: "badge", title: `because of ${damped}`, data: {tone: "bad"}}, "flapping");
}

function pinBadge(route, now) {
  if (!route.pinned) return null;
  return make("span", {class: "badge", title: "an operator's choice", data: {tone: "plain"}},
    `pinned to ${route.pinned}`,
    route.pinned_until ? [" for ", countdown(route.pinned_until, now, `until ${fullTime(route.pinned_until)}`)] : null);
}

/** Who is on the route beside the requests that just pass. */
function crowd(route) {
  const told = [
    route.sessions ? `${route.sessions} ${route.sessions === 1 ? "session" : "sessions"}` : "",
    route.waiting ? `${route.waiting} waiting` : "",
    route.moves_left < 1 ? "no return allowed for now" : "",
  ].filter(Boolean);
  return told.length ? make("p", {class: "crowd"}, told.join(" · ")) : null;
}

function targetRow(row, now) {
  const rests = row.state !== "ready" && row.until && row.until > now;
  const penalty = Math.round(row.penalty);
  const words = [
    row.reason ? plainWord(row.reason) : "",
    row.good_answers ? `${row.good_answers} good ${row.good_answers === 1 ? "answer" : "answers"} so far` : "",
    penalty >= PENALTY_SHOWN ? `penalty ${penalty}` : "",
  ].filter(Boolean).join(" · ");
  return make("li", {class: "target", data: {active: row.active ? "yes" : undefined}},
    make("span", {class: "target-name"}, row.target,
      row.active ? make("span", {class: "serves"}, "serves") : null),
    chip(row.state),
    make("span", {class: "why"}, words,
      rests ? make("span", {class: "left"}, words ? " · " : "", countdown(row.until, now, `until ${fullTime(row.until)}`)) : null),
    make("span", {class: "keys", title: "credentials ready"},
      `${row.credentials_ready}/${row.credentials}`, make("span", {class: "unit"}, " keys"), hearingOnly(" ready")));
}

export function cooldowns(status) {
  if (!status.cooldowns.length) return [make("p", {class: "empty"}, "Nothing rests.")];
  const {now} = status;
  return [make("ul", {class: "cooldowns"}, status.cooldowns.map((rest) => make("li", {},
    make("div", {class: "line"},
      make("span", {class: "place"}, place(rest), rest.route ? make("span", {class: "muted"}, ` on ${rest.route}`) : null),
      countdown(rest.until, now, `until ${fullTime(rest.until)}`)),
    make("progress", {
      max: secondsBetween(rest.started, rest.until), value: rest.remaining_seconds,
      "aria-label": "time left", data: {until: rest.until, source: rest.source},
    }),
    make("div", {class: "muted"}, cooldownWords(rest)))))];
}

const SOURCES = {stated: "stated by the provider", ladder: "own guess", operator: "by an operator"};

function cooldownWords(rest) {
  if (rest.source === "hold") return "fallback cooldown, on this route only";
  return [rest.reason, rest.scope].map(plainWord).concat(sourceWords(rest)).join(" · ");
}

function sourceWords(rest) {
  const level = rest.source === "ladder" && rest.level ? `, level ${rest.level}` : "";
  return `${SOURCES[rest.source] ?? plainWord(rest.source)}${level}`;
}

export function providers(status) {
  if (!status.providers.length) return [make("p", {class: "empty"}, "No providers are configured.")];
  return status.providers.map((provider) => make("div", {class: "provider"},
    make("h3", {}, provider.provider, " ", make("span", {class: "muted"}, provider.dialect)),
    make("ul", {class: "credentials"}, provider.credentials.map((each) => credentialRow(each, status.now)))));
}

function credentialRow(row, now) {
  const rests = row.until && row.until > now;
  const busy = row.in_flight ? `${row.in_flight} in flight · ` : "";
  return make("li", {},
    make("span", {class: "place"}, row.credential,
      row.priority > 1 ? make("span", {class: "muted"}, ` tier ${row.priority}`) : null),
    chip(row.state),
    make("span", {class: "muted why"}, row.reason ? `${plainWord(row.reason)} · ` : "",
      rests ? countdown(row.until, now, `until ${fullTime(row.until)}`) : null, rests ? " · " : "",
      `${busy}${row.used} ${row.used === 1 ? "attempt" : "attempts"}`));
}

/** One event; `open(id, place)` fills the story of its request into `place`. */
export function eventRow(row, open) {
  const story = make("div", {class: "story", id: `story-${row.id}`, hidden: true});
  const line = make("div", {class: "event-line"},
    make("time", {datetime: new Date(row.ts / 1000).toISOString(), title: fullTime(row.ts)}, clockTime(row.ts)),
    make("span", {class: "kind", data: {tone: tone(row)}}, plainWord(row.kind)),
    make("span", {class: "sentence"}, sentence(row)));
  if (row.request_id) line.append(storyButton(row.request_id, story, open));
  return make("li", {data: {id: row.id}}, line, story);
}

function storyButton(requestId, story, open) {
  const button = make("button", {
    type: "button", class: "request", "aria-expanded": "false", "aria-controls": story.id, title: `Request ${requestId}`,
  }, hearingOnly("Candidates of request "), requestId.slice(-8));
  button.addEventListener("click", () => {
    story.hidden = !story.hidden;
    button.setAttribute("aria-expanded", String(!story.hidden));
    if (!story.hidden) open(requestId, story);
  });
  return button;
}

export function storyTable({request, candidates}) {
  const head = ["", "target", "credential", "outcome", "reason", "seconds"];
  const cell = (...children) => make("td", {}, ...children);
  const rows = candidates.map((row) => make("tr", {},
    cell(String(row.n)), cell(row.target || row.provider || ""), cell(row.credential || ""), cell(chip(row.outcome)),
    cell(candidateReason(row)), make("td", {class: "number"}, row.duration_seconds == null ? "" : row.duration_seconds.toFixed(2))));
  return [
    make("p", {}, request ? `${sentence({...request, kind: "request_finished"})}.` : "This request is not over yet.",
      " ", make("code", {}, request?.request_id ?? candidates[0]?.request_id ?? "")),
    make("div", {class: "scroll", tabindex: "0", role: "region", "aria-label": "Candidates"}, make("table", {},
      make("thead", {}, make("tr", {}, head.map((name) => make("th", {scope: "col"}, name)))),
      make("tbody", {}, rows))),
  ];
}

function candidateReason(row) {
  const words = [row.outcome === "ok" ? "" : row.status, row.reason, row.cause].filter(Boolean).map(plainWord).join(", ");
  return row.failure ? [plainWord(row.failure), words].filter(Boolean).join(": ") : words;
}
