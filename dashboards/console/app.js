// Asks the gateway every two seconds and keeps the page true to its answers.

import {clockTime, KINDS} from "./words.js";
import * as view from "./view.js";

const POLL_MS = 2000;
const POLL_HIDDEN_MS = 15000; // Nobody looks at the tab.
const ANSWER_MS = 8000;
const EVENTS_MAX = 60;
const KEY_NAME = "evenkeel-admin-key";

const at = (id) => document.getElementById(id);
const drawn = new Map(); // Place → what it shows, so that only changes are drawn.
const page = {
  clockSkew: 0, // Microseconds that the gateway's clock is ahead of this one.
  lastAnswer: 0,
  timer: 0,
  polls: 0,
  active: new Map(), // Route → its target, to announce changes.
};

class Answer extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

const needsKey = (error) => error instanceof Answer && error.status === 401;
/** The admin key of this tab. A browser that keeps nothing still shows a gateway that needs none. */
const kept = {
  key: () => { try { return sessionStorage.getItem(KEY_NAME); } catch { return null; } },
  keep: (key) => { try { sessionStorage.setItem(KEY_NAME, key); } catch { /* asked again */ } },
  forget: () => { try { sessionStorage.removeItem(KEY_NAME); } catch { /* nothing kept */ } },
};
const now = () => Date.now() * 1000 + page.clockSkew;

async function get(path) {
  const key = kept.key();
  const answer = await fetch(path, {
    headers: key ? {Authorization: `Bearer ${key}`} : {},
    cache: "no-store",
    signal: AbortSignal.timeout(ANSWER_MS),
  });
  if (answer.ok) return answer.json();
  const body = await answer.json().catch(() => ({}));
  const told = body?.error?.message ?? body?.error ?? `status ${answer.status}`;
  throw new Answer(answer.status, String(told));
}

async function poll() {
  clearTimeout(page.timer);
  page.polls += 1;
  const mine = page.polls;
  try {
    const status = await get("/api/v1/status");
    if (mine !== page.polls) return;
    page.clockSkew = status.now - Date.now() * 1000;
    page.lastAnswer = Date.now();
    showStatus(status);
    await pollEvents();
  } catch (error) {
    if (mine === page.polls) showTrouble(error);
  }
  // Without a key it would only be refused again.
  if (mine === page.polls && at("key-form").hidden) {
    page.timer = setTimeout(poll, document.hidden ? POLL_HIDDEN_MS : POLL_MS);
  }
}

function showStatus(status) {
  showBanner(storeTrouble(status.store));
  at("key-form").hidden = true;
  at("main").hidden = false;
  at("main").classList.remove("stale");
  at("demo").hidden = !status.demo;
  at("forget").hidden = !kept.key();
  showLink("live", "Live");
  const {now: _now, uptime_seconds: _up, ...lasting} = status;
  draw("facts", {...lasting, routes: 0, providers: 0, cooldowns: 0}, () => view.facts(status));
  draw("summary", [status.routes, status.providers], () => view.summary(status));
  draw("routes", status.routes, () => view.routes(status));
  draw("cooldowns", status.cooldowns, () => view.cooldowns(status));
  draw("providers", status.providers, () => view.providers(status));
  announceSwitches(status.routes);
  view.tick(now());
}

function storeTrouble(store) {
  if (!store.ok) return `The history is not being stored: ${store.last_error}. Requests are served all the same.`;
  return store.dropped ? `${store.dropped} events could not be stored and are lost.` : "";
}

/** What goes on ticking by itself is no change. */
const TICKING = new Set(["dwell_seconds", "ready_in_seconds", "remaining_seconds"]);
/** Ends are kept on another clock and come a few microseconds off each time. */
const TIMES = new Set(["until", "pinned_until", "active_since", "started"]);

function steady(name, value) {
  if (TICKING.has(name)) return undefined;
  if (name === "penalty") return Math.round(value / 10);
  if (name === "moves_left") return value < 1;
  return TIMES.has(name) && value ? Math.round(value / 1e5) : value;
}

function draw(id, data, build) {
  const key = JSON.stringify(data, steady);
  if (drawn.get(id) === key) return;
  drawn.set(id, key);
  at(id).replaceChildren(...build());
}

function announceSwitches(routes) {
  for (const {route, active} of routes) {
    const before = page.active.get(route);
    if (before && before !== active) announce(`${route} is now served by ${active}`);
    page.active.set(route, active);
  }
}

function announce(text) {
  at("announce").textContent = text;
}

function showLink(state, text) {
  at("link").dataset.state = state;
  if (at("link-text").textContent !== text) at("link-text").textContent = text;
}

function showTrouble(error) {
  if (needsKey(error)) {
    askForKey();
    return;
  }
  const seen = page.lastAnswer ? ` What you see is from ${clockTime(page.lastAnswer * 1000)}.` : "";
  const why = error instanceof Answer ? `The gateway answers with an error: ${error.message}` : "The gateway cannot be reached.";
  const text = `${why.replace(/\.?$/, ".")} Trying again every ${POLL_MS / 1000} seconds.${seen}`;
  showBanner(text);
  at("main").classList.add("stale");
  showLink("lost", error instanceof Answer ? "Error" : "Unreachable");
}

function showBanner(text) {
  // An alert that is set again is read out again.
  if (at("banner").textContent !== text) at("banner").textContent = text;
  at("banner").hidden = !text;
}

function askForKey() {
  const refused = Boolean(kept.key());
  kept.forget();
  showBanner("");
  at("main").hidden = true;
  at("forget").hidden = true;
  showLink("locked", "Locked");
  if (refused) at("key-why").textContent = "The gateway refused this key.";
  if (!at("key-form").hidden) return;
  at("key-form").hidden = false;
  at("key").focus();
}

async function pollEvents() {
  const chosen = at("kinds").value;
  const kinds = KINDS[chosen];
  const asked = new URLSearchParams({order: "desc", limit: String(EVENTS_MAX)});
  if (kinds) asked.set("kind", kinds.join(","));
  let items;
  try {
    ({items} = await get(`/api/v1/events?${asked}`));
  } catch (error) {
    if (needsKey(error) || !(error instanceof Answer)) throw error;
    showEventsNote(`The history cannot be read: ${error.message}`);
    return;
  }
  if (chosen !== at("kinds").value) return;
  showEvents(items);
}

/** New events go on top; those on the page stay as they are, opened ones too. */
function showEvents(items) {
  const list = at("events");
  const known = new Set([...list.children].map((each) => each.dataset.id));
  const fresh = items.filter((row) => !known.has(String(row.id)));
  list.prepend(...fresh.map((row) => view.eventRow(row, openStory)));
  while (list.children.length > EVENTS_MAX) list.lastElementChild.remove();
  showEventsNote(list.children.length ? "" : "Nothing happened yet.");
}

function showEventsNote(text) {
  at("events-note").hidden = !text;
  at("events-note").textContent = text;
}

async function openStory(requestId, place) {
  place.replaceChildren("Loading…");
  try {
    const story = await get(`/api/v1/requests/${encodeURIComponent(requestId)}`);
    place.replaceChildren(...view.storyTable(story));
  } catch (error) {
    const why = error instanceof Answer ? error.message : "the gateway cannot be reached";
    place.replaceChildren(`This request cannot be shown: ${why}.`);
  }
}

at("kinds").addEventListener("change", () => {
  at("events").replaceChildren();
  poll();
});
at("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  kept.keep(at("key").value.trim());
  at("key").value = "";
  at("key-form").hidden = true;
  poll();
});
at("forget").addEventListener("click", () => {
  kept.forget();
  location.reload();
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && at("key-form").hidden) poll();
});
setInterval(() => view.tick(now()), 1000);
poll();
