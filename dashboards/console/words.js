// How things are said on the page: lengths, times, places, one sentence per event.
// The command line says the same in gateway/cli_sentences.py.

const MICROS = 1e6;
const UNITS = [["d", 86400], ["h", 3600], ["m", 60], ["s", 1]];

/** `0.4 s`, `42 s`, `3 m 05 s`, `2 h`: the two largest units that matter. */
export function length(seconds) {
  if (typeof seconds !== "number" || !Number.isFinite(seconds)) return "?";
  if (seconds < 10 && !Number.isInteger(seconds)) return `${Math.max(0, seconds).toFixed(1)} s`;
  const [whole, below] = parts(Math.max(0, Math.round(seconds)));
  return Number.parseInt(below, 10) ? `${whole} ${below}` : whole;
}

/** The same for what changes each second: whole seconds, and always as many units. */
export function ticking(seconds) {
  return parts(Math.max(0, Math.ceil(seconds))).filter(Boolean).join(" ");
}

function parts(seconds) {
  for (let place = 0; place < UNITS.length - 1; place += 1) {
    const [unit, size] = UNITS[place];
    if (seconds >= size) {
      const [below, belowSize] = UNITS[place + 1];
      const rest = String(Math.floor((seconds % size) / belowSize)).padStart(2, "0");
      return [`${Math.floor(seconds / size)} ${unit}`, `${rest} ${below}`];
    }
  }
  return [`${seconds} s`, ""];
}

export function clockTime(micros) {
  return new Date(micros / 1000).toLocaleTimeString([], {
    hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
  });
}

export function fullTime(micros) {
  return new Date(micros / 1000).toLocaleString([], {dateStyle: "medium", timeStyle: "long"});
}

export const secondsBetween = (from, to) => (to - from) / MICROS;

/** `rate_limited` as people read it. */
export const plainWord = (word) => String(word ?? "").replaceAll("_", " ");

/** What a row is about: a target, a credential, a quota group, a provider. */
export function place(row) {
  const {provider = "", model = "", credential = ""} = row;
  let where = provider && model ? `${provider}/${model}` : provider || model || "";
  if (row.scope === "quota_group") where = `${provider}, quota group ${model}`;
  return credential ? `${where} [${credential}]` : where;
}

function brackets(...words) {
  const told = [...new Set(words.filter(Boolean).map(plainWord))].join(", ");
  return told ? ` (${told})` : "";
}

const target = (row) => place({...row, credential: ""});

function requestSentence(row) {
  const route = row.route || row.requested_model;
  if (row.outcome !== "ok") {
    return `${route ? `${route}: request` : "a request"} ended as ${plainWord(row.outcome)}${brackets(row.status, row.failure, row.reason)}`;
  }
  const instead = row.fallback_from
    ? ` instead of ${row.fallback_from}${brackets(row.fallback_reason)}` : "";
  return `${route}: answered by ${target(row)} in ${length(row.duration_seconds)}${instead}`;
}

function attemptSentence(row) {
  if (row.outcome === "ok") return `${place(row)} answered in ${length(row.duration_seconds)}`;
  if (row.outcome === "cancelled") return `${place(row)}: the client went away`;
  return `${place(row)} failed: ${plainWord(row.failure)}${brackets(row.status, row.reason)}`;
}

function switchSentence(row) {
  const verb = {return: "returned", operator: "was moved"}[row.switch] ?? "switched";
  const back = row.reversal ? ", a reversal" : "";
  return `${row.route} ${verb} ${row.from} → ${row.to}${brackets(row.reason)}, after ${length(row.dwell_seconds)}${back}`;
}

function cooldownSentence(row) {
  if (row.source === "hold") {
    return `${place(row)} is held behind the others on ${row.route} for ${length(row.duration_seconds)}`;
  }
  const told = brackets(row.source, row.level ? `level ${row.level}` : "", row.relapse ? "a relapse" : "");
  return `${place(row)} rests for ${length(row.duration_seconds)}: ${plainWord(row.reason)}${told}`;
}

function endedSentence(row) {
  const what = row.source === "hold" ? `hold on ${row.route}` : "rest";
  return `${place(row)}: ${what} over after ${length(row.duration_seconds)}${brackets(row.ended, row.actor, row.note)}`;
}

/** From when it happened to `until`; empty where there is no end. */
function span(row) {
  return row.until && row.ts ? length(secondsBetween(row.ts, row.until)) : "";
}

function flappingSentence(row) {
  const penalty = typeof row.penalty === "number" ? `penalty ${Math.round(row.penalty)}` : "";
  const longest = span(row) ? `for ${span(row)} at most` : "";
  return `${row.route} is flapping because of ${row.target}${brackets(penalty, longest)}`;
}

function sessionSentence(row) {
  const key = (name) => (name ? ` [${name}]` : "");
  const told = brackets(row.move, row.reason);
  if (row.from === row.to) {
    return `${row.route}: session moved to another key of ${row.to}: ${row.from_credential} → ${row.to_credential}${told}`;
  }
  return `${row.route}: session moved ${row.from}${key(row.from_credential)} → ${row.to}${key(row.to_credential)}${told}`;
}

const ACTS = {
  reset: (about) => `ended the cooldowns of ${about}`,
  rest: (about, lasting) => `let ${about} rest${lasting}`,
  drain: (about, lasting) => `drained ${about}${lasting}`,
  enable: (about) => `enabled ${about}`,
  pin: (about, lasting, route) => `pinned ${route} to ${about}${lasting}`,
  unpin: (about, lasting, route) => `unpinned ${route}`,
  clear_penalty: (about, lasting, route) => `cleared the penalties of ${route}`,
  reload: () => "had the configuration read again",
};

function operatorSentence(row) {
  const about = (row.credential ? place(row) : row.target || row.provider) || "everything";
  const lasting = span(row) ? ` for ${span(row)}` : "";
  const said = ACTS[row.action]?.(about, lasting, row.route) ?? `${plainWord(row.action)} ${about}`;
  // The note is somebody's own words: they stay as they were written.
  return `${row.actor || "operator"} ${said}${row.note ? ` (${row.note})` : ""}`;
}

function rejectedSentence(row) {
  const problems = row.problems ?? ["?"];
  const others = problems.length > 1 ? `and ${problems.length - 1} more` : "";
  return `new configuration rejected: ${problems[0]}${brackets(others)}`;
}

const SENTENCES = {
  request_finished: requestSentence,
  attempt_finished: attemptSentence,
  candidate_skipped: (row) => `${place(row)} skipped: ${plainWord(row.reason)}${brackets(row.cause)}`,
  switched: switchSentence,
  cooldown_started: cooldownSentence,
  cooldown_extended: (row) =>
    `${place(row)} rests longer, ${length(row.duration_seconds)} in all: ${plainWord(row.reason)}${brackets(row.source)}`,
  cooldown_ended: endedSentence,
  flapping_started: flappingSentence,
  flapping_ended: (row) => `${row.route} is steady again after ${length(row.duration_seconds)}`,
  session_moved: sessionSentence,
  history_adapted: (row) =>
    `${place(row)} refused another's ${(row.adapted ?? []).map(plainWord).join(", ")}: sent again without${brackets(row.reason)}`,
  pool_wide_failure: (row) =>
    `${row.credentials} credentials of ${row.provider} failed alike: ${plainWord(row.failure)}`,
  local_network: (row) => `no provider can be reached (${row.providers} tried): the network on this side?`,
  operator_acted: operatorSentence,
  config_reloaded: (row) => `configuration reloaded as ${row.version}`,
  config_rejected: rejectedSentence,
  process_started: (row) => `gateway ${row.version} started`,
  process_stopped: (row) => `gateway stopped${brackets(row.reason)}`,
  data_gap: (row) => `${row.dropped} events lost by ${row.sink}`,
};

export function sentence(row) {
  const say = SENTENCES[row.kind];
  return say ? say(row) : plainWord(row.kind);
}

/** What the events list can be narrowed to; null is everything. */
export const KINDS = {
  changes: Object.keys(SENTENCES).filter(
    (kind) => !["request_finished", "attempt_finished", "candidate_skipped"].includes(kind)),
  requests: ["request_finished"],
  attempts: ["attempt_finished", "candidate_skipped"],
  all: null,
};

/** How an event is marked: good, bad, warn or plain. The sentence says it too. */
export function tone(row) {
  switch (row.kind) {
    case "switched": return {return: "good", operator: "plain"}[row.switch] ?? "warn";
    case "cooldown_started": case "cooldown_extended": return row.source === "hold" ? "warn" : "bad";
    case "cooldown_ended": case "flapping_ended": return "good";
    case "flapping_started": case "pool_wide_failure": case "local_network":
    case "config_rejected": case "data_gap": return "bad";
    case "history_adapted": return "warn";
    case "request_finished":
      return row.outcome !== "ok" ? "bad" : row.fallback_from ? "warn" : "good";
    case "attempt_finished": return row.outcome === "ok" ? "good" : "bad";
    default: return "plain";
  }
}
