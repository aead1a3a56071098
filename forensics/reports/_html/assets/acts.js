"use strict";
/* The rows of the timeline: columns of numbers, texts by number; what is asked of them; who wants to know. */

const acts = (() => {
  const raw = JSON.parse(document.getElementById("act-data").textContent);
  const size = raw.time.length;
  const column = Object.fromEntries(["lane", ...raw.kind_columns.slice(1)].map((name, i) => [name, i]));

  /* Microseconds stay exact in a double until the year 2255; the page counts in milliseconds. */
  const time = new Float64Array(size);
  for (let i = 0, us = 0; i < size; i += 1) {
    us += raw.time[i];
    time[i] = us / 1000;
  }
  const span = Float64Array.from(raw.span, (us) => us / 1000);
  const longest = span.reduce((most, one) => Math.max(most, one), 0);
  const kind = Uint32Array.from(raw.kind);
  const message = Uint32Array.from(raw.message);
  const address = Uint32Array.from(raw.address);
  const offset = new Float64Array(size);
  const ordinal = new Float64Array(size);
  const last = new Map();
  for (let i = 0; i < size; i += 1) {
    const before = last.get(raw.file[i]) || [0, 0];
    offset[i] = before[0] + raw.offset[i];
    ordinal[i] = before[1] + raw.ordinal[i];
    last.set(raw.file[i], [offset[i], ordinal[i]]);
  }

  /* A row's address stands beside its kind; `word` asks the kind, `of` the row. */
  const word = (kindNumber, name) => raw.words[raw.kinds[kindNumber][column[name]]];
  const of = (i, name) => (name === "source_ip" ? raw.words[address[i]] : word(kind[i], name));
  const lanes = raw.lanes.map(([lane]) => lane).filter((lane) => raw.kinds.some((_, k) => word(k, "lane") === lane));
  const laneOfKind = Uint8Array.from(raw.kinds, (_, k) => Math.max(0, lanes.indexOf(word(k, "lane"))));
  const rareOfKind = Uint8Array.from(raw.kinds, (_, k) => (word(k, "rare_grade") ? 1 : 0));
  const milestoneOfKind = Uint8Array.from(raw.kinds, (_, k) => (word(k, "milestone") ? 1 : 0));

  const locator = (i) =>
    raw.file[i] < 0 ? "" : `${raw.files[raw.file[i]]}:${offset[i]}+${raw.length[i]}${ordinal[i] ? `#${ordinal[i]}` : ""}`;

  /** The distinct values of a repeating column, sorted. */
  function values(name) {
    return [...new Set(raw.kinds.map((_, k) => word(k, name)))].filter(Boolean).sort();
  }

  const asked = { session: "", role: "", address: "", text: "", rare: false, noise: true };
  let matching = Uint32Array.from({ length: size }, (_, i) => i);
  const listeners = [];

  /** Ask anew: change what is asked, find the rows, tell everyone. */
  function ask(change) {
    Object.assign(asked, change);
    const wanted = asked.address.trim().toLowerCase();
    const text = asked.text.trim().toLowerCase();
    const rightKind = Uint8Array.from(raw.kinds, (_, k) =>
      (!asked.session || word(k, "session_uid") === asked.session) &&
      (!asked.role || word(k, "role") === asked.role) &&
      (!asked.rare || rareOfKind[k]) &&
      (asked.noise || word(k, "lane") !== "noise") ? 1 : 0);
    const textOfKind = ["act", "milestone", "user_name", "as_organization_name", "origin_flags", "country_iso_code"];
    const saidByKind = text && Uint8Array.from(raw.kinds, (_, k) =>
      textOfKind.some((name) => word(k, name).toLowerCase().replaceAll("_", " ").includes(text)) ? 1 : 0);
    const rightWord = Uint8Array.from(raw.words, (one) => (one.toLowerCase().includes(wanted) ? 1 : 0));
    const saidByWord = text && Uint8Array.from(raw.words, (one) => (one.toLowerCase().includes(text) ? 1 : 0));
    const saidByMessage = text && Uint8Array.from(raw.messages, (one) => (one.toLowerCase().includes(text) ? 1 : 0));
    const found = [];
    for (let i = 0; i < size; i += 1) {
      if (!rightKind[kind[i]] || (wanted && !rightWord[address[i]])) continue;
      if (!text || saidByKind[kind[i]] || saidByMessage[message[i]] || saidByWord[address[i]]) found.push(i);
    }
    matching = Uint32Array.from(found);
    listeners.forEach((listener) => listener());
  }

  /** The first place in the matching rows whose time is not before `ms`. */
  function seek(ms) {
    let low = 0;
    let high = matching.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (time[matching[middle]] < ms) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  return {
    size, time, span, longest, kind, raw, lanes, laneOfKind, rareOfKind, milestoneOfKind, asked,
    laneTitles: Object.fromEntries(raw.lanes),
    total: raw.total,
    sessions: raw.sessions,
    window: raw.window,
    matching: () => matching,
    said: (i) => raw.messages[message[i]],
    times: (i) => raw.count[i],
    of, locator, values, ask, seek,
    listen: (listener) => listeners.push(listener),
  };
})();
