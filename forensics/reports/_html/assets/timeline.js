"use strict";
/* The drawing: one canvas, whatever the number of rows; a stroke a pixel and lane, darker where more happened. */

const timeline = (() => {
  const box = document.getElementById("lanes");
  if (!box || !acts.size) return null;
  const { el } = c2;
  const LEFT = 128;
  const RIGHT = 14;
  const FLAG_ROWS = 6;
  const OPEN = 26; /* the dashes behind a session whose end is not in evidence */

  const canvas = el("canvas", {
    tabindex: "0",
    role: "application",
    "aria-roledescription": "timeline",
    "aria-label": "Operator timeline",
    "aria-describedby": "lanes-help",
  });
  const tip = el("div", { class: "tip", hidden: true });
  const from = el("output", { class: "window" });
  const pen = canvas.getContext("2d");
  let width = 900;
  let height = 300;
  let colour = {};
  let x = d3.scaleUtc().domain(lanes.whole).range([LEFT, width - RIGHT]);
  let view = x;
  let at = lanes.bands(1);
  let hits = [];
  let flags = [];
  const watchers = [];

  /* Zoom: with Ctrl and the wheel, by dragging, by pinching; a bare wheel scrolls the page. */
  const zoom = d3
    .zoom()
    .filter((event) => (event.type === "wheel" ? event.ctrlKey || event.metaKey : !event.button))
    .on("zoom", (event) => {
      view = event.transform.rescaleX(x);
      schedule();
    });
  const selection = d3.select(canvas);

  function show(start, stop) {
    const share = (x(stop) - x(start)) / (x.range()[1] - x.range()[0]);
    const scale = 1 / Math.max(share, 1e-9);
    selection.call(zoom.transform, d3.zoomIdentity.translate(LEFT - scale * x(start), 0).scale(scale));
    /* The transform is about the canvas' origin: x' = k x + t, with the left edge of the window at LEFT. */
  }

  function operatorWindow() {
    const [start, stop] = acts.window || lanes.whole;
    show(start, stop);
  }

  const by = {
    "+": ["Zoom in", () => selection.call(zoom.scaleBy, 2)],
    "−": ["Zoom out", () => selection.call(zoom.scaleBy, 0.5)],
    "←": ["Earlier", () => pan(-0.25)],
    "→": ["Later", () => pan(0.25)],
    Operator: ["Show the operator's whole time", operatorWindow],
    All: ["Show all rows", () => show(...lanes.whole)],
  };
  function pan(share) {
    const [start, stop] = view.domain().map(Number);
    const step = (stop - start) * share;
    show(start + step, stop + step);
  }

  canvas.addEventListener("keydown", (event) => {
    const act = { "+": "+", "=": "+", "-": "−", ArrowLeft: "←", ArrowRight: "→", 0: "Operator", Home: "Operator", End: "All" }[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    by[act][1]();
  });

  function colours() {
    const style = getComputedStyle(document.documentElement);
    const names = ["ink", "soft", "line", "paper", "rare", "operator", "implant", "other", "noise", "on-rare"];
    colour = Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
  }

  let asked = 0;
  function schedule() {
    if (!asked) {
      asked = requestAnimationFrame(() => {
        asked = 0;
        draw();
        watchers.forEach((watcher) => watcher());
      });
    }
  }

  function text(words, left, top, ink, align = "left", weight = "") {
    pen.font = `${weight} 12px system-ui, sans-serif`;
    pen.fillStyle = ink;
    pen.textAlign = align;
    pen.fillText(words, left, top);
  }

  function draw() {
    const [start, stop] = view.domain().map(Number);
    placeFlags(start, stop);
    resize();
    pen.clearRect(0, 0, width, height);
    pen.fillStyle = colour.paper;
    pen.fillRect(0, 0, width, height);
    axis();
    pen.save();
    pen.beginPath();
    pen.rect(LEFT - 1, 0, width - LEFT - RIGHT + 2, height);
    pen.clip();
    sessions(start, stop);
    marks(start, stop);
    rareLines(start, stop);
    drawFlags();
    pen.restore();
    names();
    from.textContent = `${c2.moment(start)} to ${c2.moment(stop)}`;
  }

  function axis() {
    const ticks = view.ticks(Math.max(3, Math.floor((width - LEFT) / 110)));
    const [first, second] = ticks;
    const step = second - first;
    const format = d3.utcFormat(step >= 86_400_000 ? "%Y-%m-%d" : step >= 60_000 ? "%H:%M" : step >= 1_000 ? "%H:%M:%S" : "%H:%M:%S.%L");
    let free = 34;
    pen.strokeStyle = colour.line;
    pen.font = "12px system-ui, sans-serif";
    pen.lineWidth = 1;
    for (const tick of ticks) {
      const px = Math.round(view(tick)) + 0.5;
      pen.beginPath();
      pen.moveTo(px, 20);
      pen.lineTo(px, height);
      pen.stroke();
      const midnight = tick.getTime() % 86_400_000 === 0;
      const words = midnight ? tick.toISOString().slice(0, 10) : format(tick);
      const half = pen.measureText(words).width / 2;
      if (px - half < free) continue;
      free = px + half + 8;
      text(words, px, 14, colour.soft, "center");
    }
  }

  function names() {
    text("UTC", 4, 14, colour.soft);
    text("Milestones", 4, at.flags + 12, colour.soft);
    if (lanes.rows.length) text("RDP sessions", 4, at.sessions + 18, colour.soft);
    acts.lanes.forEach((lane, n) => text(acts.laneTitles[lane], 4, at.acts[n] + 19, colour.soft));
  }

  function sessions(start, stop) {
    const free = [];
    for (const row of lanes.rows) {
      if (row.stop < start || row.session.start > stop || !wanted(row.session)) continue;
      const top = at.sessions + row.lane * lanes.HEIGHT.session + 12;
      const left = view(row.session.start);
      const right = Math.max(left + 1, view(row.stop));
      pen.strokeStyle = colour.operator;
      pen.lineWidth = 1;
      pen.strokeRect(left + 0.5, top + 0.5, Math.max(1, right - left - 1), 13);
      if (row.open) {
        pen.setLineDash([3, 3]);
        pen.strokeRect(right + 0.5, top + 7.5, OPEN, 0);
        pen.setLineDash([]);
      }
      for (const [, since, until, grade] of row.session.stays) {
        const a = view(since);
        const b = until === null ? right : view(until);
        pen.fillStyle = grade ? colour.rare : colour.operator;
        pen.fillRect(a, top, Math.max(grade ? 4 : 1.5, b - a), 14);
      }
      const label = Math.max(left, LEFT + 2);
      if (!(label < free[row.lane])) {
        text(row.session.uid, label, top - 2, colour.ink);
        free[row.lane] = label + pen.measureText(row.session.uid).width + 6;
      }
      hits.push({ left: Math.max(left, LEFT), right, top, bottom: top + 14, row });
    }
  }

  function wanted(session) {
    const { session: uid, address, rare } = acts.asked;
    return (!uid || uid === session.uid) &&
      (!address || session.stays.some(([ip]) => ip.includes(address.trim()))) &&
      (!rare || session.stays.some((stay) => stay[3]));
  }

  /* Marks by lane and pixel: how many, and the first of them for the pointer. */
  function marks(start, stop) {
    const found = acts.matching();
    const pixels = Math.ceil(width) + 1;
    const counts = acts.lanes.map(() => new Float64Array(pixels));
    const first = acts.lanes.map(() => new Int32Array(pixels).fill(-1));
    const rare = acts.lanes.map(() => new Uint8Array(pixels));
    const scale = (view(stop) - view(start)) / (stop - start);
    const base = view(start) - start * scale;
    for (let n = acts.seek(start - acts.longest); n < found.length; n += 1) {
      const i = found[n];
      const t = acts.time[i];
      if (t > stop) break;
      const k = acts.kind[i];
      const lane = acts.laneOfKind[k];
      const px = base + t * scale;
      const long = acts.span[i] * scale;
      if (long > 3 && t + acts.span[i] >= start) {
        pen.fillStyle = acts.rareOfKind[k] ? colour.rare : colour[acts.lanes[lane]];
        pen.globalAlpha = 0.35;
        pen.fillRect(px, at.acts[lane] + 13, long, 4);
        pen.globalAlpha = 1;
      }
      if (t < start) continue;
      const column = Math.max(0, Math.min(pixels - 1, Math.round(px)));
      counts[lane][column] += 1;
      if (first[lane][column] < 0 || (acts.rareOfKind[k] && !rare[lane][column])) first[lane][column] = i;
      if (acts.rareOfKind[k]) rare[lane][column] = 1;
    }
    counts.forEach((lane, n) => {
      const most = Math.log2(1 + lane.reduce((a, b) => Math.max(a, b), 1));
      for (let px = 0; px < pixels; px += 1) {
        if (!lane[px]) continue;
        const tall = rare[n][px] ? 24 : 8 + (14 * Math.log2(1 + lane[px])) / most;
        pen.fillStyle = rare[n][px] ? colour.rare : colour[acts.lanes[n]];
        pen.fillRect(px - (rare[n][px] ? 1 : 0), at.acts[n] + 15 - tall / 2, rare[n][px] ? 3 : 1.25, tall);
      }
    });
    marks.first = first;
    marks.counts = counts;
  }

  function rareLines(start, stop) {
    const named = new Set();
    let free = -Infinity;
    let before = -10;
    for (const i of lanes.rare) {
      const t = acts.time[i];
      if (t < start || t > stop) continue;
      const px = view(t);
      if (px - before < 1 && named.has(acts.of(i, "source_ip"))) continue;
      before = px;
      pen.fillStyle = colour.rare;
      pen.globalAlpha = 0.45;
      pen.fillRect(px - 0.75, at.rare + 4, 1.5, height);
      pen.globalAlpha = 1;
      const address = acts.of(i, "source_ip");
      if (named.has(address)) continue;
      named.add(address);
      const grade = acts.of(i, "rare_grade");
      const words = `${grade === "C" ? "" : `${acts.of(i, "country_iso_code")} `}${address} · grade ${grade}`;
      pen.font = "bold 12px system-ui, sans-serif";
      const long = pen.measureText(words).width + 12;
      const left = Math.min(px, width - RIGHT - long);
      if (left < free) continue;
      free = left + long + 4;
      pen.fillStyle = colour.rare;
      pen.fillRect(left, at.rare, long, 17);
      text(words, left + 6, at.rare + 13, colour["on-rare"], "left", "bold");
    }
  }

  /** Find a row for each flag whose label fits; the others stand without words. */
  function placeFlags(start, stop) {
    const ends = [];
    const latest = new Map();
    flags = [];
    hits = [];
    pen.font = "12px system-ui, sans-serif";
    for (const i of lanes.milestones) {
      const t = acts.time[i];
      if (t < start || t > stop) continue;
      const px = view(t);
      const words = acts.of(i, "milestone").replaceAll("_", " ").replaceAll(";", ", ");
      /* The same again within a flag's width is counted, not written. */
      const same = latest.get(words);
      if (same && px - same.px < 16 && !same.rare) {
        same.times += 1;
        flags.push({ i, px, words: "", level: same.level });
        continue;
      }
      const long = pen.measureText(`${words} ×99`).width + 14;
      const left = px + long > width - RIGHT ? px - long : px;
      let level = ends.findIndex((end) => left >= end);
      if (level < 0 && ends.length < FLAG_ROWS) level = ends.length;
      const bare = level < 0;
      if (bare) level = FLAG_ROWS - 1;
      else ends[level] = px + long;
      const flag = { i, px, words: bare ? "" : words, level, left: left < px, long, times: 1, rare: acts.rareOfKind[acts.kind[i]] };
      latest.set(words, flag);
      flags.push(flag);
    }
    at = lanes.bands(Math.max(1, ends.length));
  }

  function drawFlags() {
    for (const flag of flags) {
      const top = at.flags + flag.level * lanes.HEIGHT.flag;
      const rare = acts.rareOfKind[acts.kind[flag.i]];
      const ink = rare ? colour.rare : colour.ink;
      pen.fillStyle = ink;
      pen.fillRect(flag.px - 0.5, top, 1, at.sessions - top - 2);
      if (!flag.words) continue;
      pen.beginPath();
      pen.moveTo(flag.px, top);
      pen.lineTo(flag.px + (flag.left ? -8 : 8), top + 5);
      pen.lineTo(flag.px, top + 10);
      pen.fill();
      const words = flag.times > 1 ? `${flag.words} ×${c2.number(flag.times)}` : flag.words;
      text(words, flag.px + (flag.left ? -12 : 12), top + 10, ink, flag.left ? "right" : "left", rare ? "bold" : "");
      hits.push({ left: flag.px - 4, right: flag.px + (flag.left ? 4 : flag.long), top, bottom: top + 15, i: flag.i });
    }
  }

  function resize() {
    const ratio = window.devicePixelRatio || 1;
    const tall = at.bottom;
    if (canvas.width === Math.round(width * ratio) && canvas.height === Math.round(tall * ratio)) return;
    height = tall;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.height = `${height}px`;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  }

  /** What stands under a point: a flag, a session, or the nearest mark of a lane. */
  function under(px, py) {
    const hit = hits.find((one) => px >= one.left && px <= one.right && py >= one.top && py <= one.bottom);
    if (hit) return hit;
    const lane = at.acts.findIndex((top) => py >= top && py < top + lanes.HEIGHT.act);
    if (lane < 0 || !marks.first) return null;
    for (let away = 0; away <= 6; away += 1) {
      for (const column of [Math.round(px) - away, Math.round(px) + away]) {
        const i = marks.first[lane][column];
        if (i >= 0) return { i, more: marks.counts[lane][column] - 1 };
      }
    }
    return null;
  }

  function lines(hit) {
    if (hit.row) {
      const { session, stop } = hit.row;
      return [
        `${session.uid} ${session.who}`,
        `${c2.moment(session.start)} to ${session.end === null ? "no end in evidence" : c2.moment(stop)} (${session.end_basis})`,
        session.client && `client ${session.client}`,
        ...session.stays.slice(0, 8).map(([ip, since, , grade]) => `${c2.moment(since)} ${ip}${grade ? ` rare origin, grade ${grade}` : ""}`),
      ].filter(Boolean);
    }
    const { i } = hit;
    return [
      `${c2.moment(acts.time[i])} ${acts.of(i, "session_uid")}`,
      `${acts.of(i, "source_ip")} ${acts.of(i, "rare_grade") === "C" ? "" : acts.of(i, "country_iso_code")} ${acts.of(i, "role")}`,
      acts.said(i),
      acts.of(i, "rare_grade") && `rare origin, grade ${acts.of(i, "rare_grade")}`,
      acts.of(i, "milestone").replaceAll("_", " "),
      hit.more > 0 && `and ${c2.number(hit.more)} more here: zoom in`,
    ].filter((line) => line && line.trim());
  }

  canvas.addEventListener("pointermove", (event) => {
    const frame = canvas.getBoundingClientRect();
    const hit = under(event.clientX - frame.left, event.clientY - frame.top);
    tip.hidden = !hit;
    if (!hit) return;
    tip.replaceChildren(...lines(hit).map((line) => el("p", {}, line)));
    tip.style.left = `${Math.min(event.clientX - frame.left + 14, Math.max(0, width - 340))}px`;
    tip.style.top = `${event.clientY - frame.top + 52}px`;
  });
  canvas.addEventListener("pointerleave", () => {
    tip.hidden = true;
  });
  canvas.addEventListener("click", (event) => {
    const frame = canvas.getBoundingClientRect();
    const hit = under(event.clientX - frame.left, event.clientY - frame.top);
    if (hit && hit.row) acts.ask({ session: acts.asked.session === hit.row.session.uid ? "" : hit.row.session.uid });
    else if (hit) chosen.forEach((listener) => listener(hit.i));
  });
  const chosen = [];

  function measure() {
    const window_ = view.domain().map(Number);
    width = Math.max(320, box.clientWidth);
    x = d3.scaleUtc().domain(lanes.whole).range([LEFT, width - RIGHT]);
    const shortest = (lanes.whole[1] - lanes.whole[0]) / 1000;
    zoom.extent([[LEFT, 0], [width - RIGHT, 100]]).translateExtent([[LEFT, 0], [width - RIGHT, 100]]).scaleExtent([1, Math.max(1, shortest)]);
    show(...window_);
  }

  box.hidden = false;
  box.append(
    el("div", { class: "bar" },
      el("div", { class: "buttons", role: "group", "aria-label": "Zoom and move" },
        ...Object.entries(by).map(([sign, [label, act]]) => el("button", { type: "button", title: label, "aria-label": label, onclick: act }, sign))),
      from),
    canvas, tip,
    el("p", { class: "hint", id: "lanes-help" }, "Drag to move, Ctrl and wheel to zoom; with the keyboard: arrows, + and −, 0 for the operator's time, End for all. A click on a session asks for it alone; on a mark, goes to its row."));
  colours();
  view = d3.scaleUtc().domain(acts.window || lanes.whole).range([LEFT, width - RIGHT]);
  selection.call(zoom).on("dblclick.zoom", null);
  measure();
  draw();
  new ResizeObserver(measure).observe(box);
  acts.listen(schedule);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    colours();
    schedule();
  });

  return {
    window: () => view.domain().map(Number),
    watch: (watcher) => watchers.push(watcher),
    choose: (listener) => chosen.push(listener),
    reveal: (i) => {
      const [start, stop] = view.domain().map(Number);
      const half = (stop - start) / 2;
      if (acts.time[i] < start || acts.time[i] > stop) show(acts.time[i] - half, acts.time[i] + half);
    },
  };
})();
