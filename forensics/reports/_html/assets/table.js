"use strict";
/* Tables: the acts by the page, following the timeline; and search, sort and copy for those that stand in the page already. */

(() => {
  const { el } = c2;
  const PAGE = 50;

  function field(label, control) {
    return el("label", {}, el("span", {}, label), control);
  }

  function choice(label, values, onchange) {
    const select = el("select", { onchange: () => onchange(select.value) }, el("option", { value: "" }, "all"),
      ...values.slice(0, 2000).map((value) => el("option", { value }, value)));
    return [select, field(label, select)];
  }

  function typed(label, onchange, attributes) {
    let soon;
    const input = el("input", {
      type: "search", autocomplete: "off", spellcheck: "false", ...attributes,
      oninput: () => {
        clearTimeout(soon);
        soon = setTimeout(() => onchange(input.value), 150);
      },
    });
    return [input, field(label, input)];
  }

  function tick(label, onchange) {
    const input = el("input", { type: "checkbox", onchange: () => onchange(input.checked) });
    return [input, el("label", { class: "tick" }, input, el("span", {}, label))];
  }

  /* ---- the acts ------------------------------------------------------------------------------------------------ */

  const COLUMNS = ["Time", "Session", "Address", "Country", "Role", "Act", "Times", "Row"];

  function actTable(box) {
    const [session, sessionField] = choice("Session", acts.values("session_uid"), (value) => acts.ask({ session: value }));
    const [role, roleField] = choice("Role", acts.values("role"), (value) => acts.ask({ role: value }));
    const [address, addressField] = typed("Address", (value) => acts.ask({ address: value }));
    const [text, textField] = typed("Text", (value) => acts.ask({ text: value }));
    const [rare, rareField] = tick("rare origins only", (value) => acts.ask({ rare: value }));
    const [noise, noiseField] = tick("noise", (value) => acts.ask({ noise: value }));
    const count = el("p", { class: "count" });
    const body = el("tbody", {});
    const table = el("table", { id: "table-all-acts" },
      el("caption", {}, "Acts in the stretch of time shown above"),
      el("thead", {}, el("tr", {}, ...COLUMNS.map((name) => el("th", { scope: "col" }, name)))), body);
    const pager = c2.pager(fill);
    let marked = -1;

    function row(i) {
      const rare = acts.of(i, "rare_grade");
      const milestone = acts.of(i, "milestone").replaceAll("_", " ").replaceAll(";", ", ");
      const marks = [acts.of(i, "origin_flags"), acts.of(i, "flags")].filter(Boolean).join("; ").replaceAll("_", " ");
      return el("tr", { class: [rare && "rare", i === marked && "chosen"].filter(Boolean).join(" ") || null, "data-row": i },
        el("td", {}, el("time", { datetime: new Date(acts.time[i]).toISOString() }, c2.moment(acts.time[i]))),
        el("td", {}, el("code", {}, acts.of(i, "session_uid"))),
        el("td", {}, el("code", { class: rare ? "rare-address" : null }, acts.of(i, "source_ip")), rare ? el("b", { class: "grade" }, ` rare origin ${rare}`) : ""),
        el("td", {}, acts.of(i, "country_iso_code")),
        el("td", { class: "word" }, acts.of(i, "role")),
        el("td", {}, milestone ? el("b", {}, `◆ ${milestone} `) : "", acts.said(i), marks ? el("span", { class: "marks" }, ` ${marks}`) : ""),
        el("td", { class: "number" }, acts.times(i) > 1 ? c2.number(acts.times(i)) : ""),
        el("td", {}, el("code", { class: "place" }, acts.locator(i))));
    }

    function inWindow() {
      const [start, stop] = timeline ? timeline.window() : [-Infinity, Infinity];
      return [acts.seek(start), acts.seek(stop + 1)];
    }

    function fill() {
      const [low, high] = inWindow();
      const found = acts.matching();
      pager.fit(high - low, PAGE);
      const first = low + pager.state.page * PAGE;
      body.replaceChildren(...Array.from(found.subarray(first, Math.min(high, first + PAGE)), row));
      const inPage = acts.size === acts.total ? "" : ` (of ${c2.number(acts.total)} in timeline.csv)`;
      count.textContent = `${c2.number(high - low)} in this stretch of time, ${c2.number(found.length)} of ${c2.number(acts.size)} rows match${inPage}`;
      c2.announce(count.textContent);
    }

    function goTo(i) {
      marked = i;
      if (timeline) timeline.reveal(i);
      const [low] = inWindow();
      const place = acts.matching().indexOf(i);
      if (place < 0) return;
      pager.state.page = Math.floor((place - low) / PAGE);
      fill();
      const line = body.querySelector(".chosen");
      if (line) line.scrollIntoView({ block: "nearest" });
    }

    function asText() {
      const [low, high] = inWindow();
      const lines = [COLUMNS.join("\t")];
      for (const i of acts.matching().subarray(low, high)) {
        const values = [new Date(acts.time[i]).toISOString(), acts.of(i, "session_uid"), acts.of(i, "source_ip"), acts.of(i, "country_iso_code"), acts.of(i, "role"), acts.said(i), String(acts.times(i)), acts.locator(i)];
        lines.push(values.map(c2.cell).join("\t"));
      }
      return lines.join("\n");
    }

    box.append(
      el("div", { class: "bar", role: "search", "aria-label": "Ask the timeline" }, sessionField, roleField, addressField, textField,
        rareField, noiseField,
        el("button", { type: "button", onclick: () => copied(asText()) }, "Copy rows")),
      el("div", { class: "bar" }, count, pager.bar),
      el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Acts" }, table));
    box.hidden = false;
    /** Let the controls say what is asked, whoever asked it. */
    function tell() {
      for (const [control, name] of [[session, "session"], [role, "role"], [address, "address"], [text, "text"]]) {
        if (control.value !== acts.asked[name]) control.value = acts.asked[name];
      }
      rare.checked = acts.asked.rare;
      noise.checked = acts.asked.noise;
    }
    tell();
    acts.listen(() => {
      tell();
      pager.state.page = 0;
      fill();
    });
    if (timeline) {
      let soon;
      timeline.watch(() => {
        clearTimeout(soon);
        soon = setTimeout(() => {
          if (marked < 0) pager.state.page = 0;
          fill();
        }, 120);
      });
      timeline.choose(goTo);
    }
    fill();
    linkPlaces((i) => {
      acts.ask({ session: "", role: "", address: "", text: "", rare: false, noise: true });
      document.getElementById("timeline").scrollIntoView();
      goTo(i);
    });
  }

  /** Make the places that proofs name lead to their rows of the timeline, where it has them. */
  function linkPlaces(goTo) {
    const wanted = new Map();
    for (const place of document.querySelectorAll("main code.place")) {
      const key = place.textContent.split("#")[0];
      if (!place.closest("#acts")) wanted.set(key, [...(wanted.get(key) || []), place]);
    }
    for (let i = 0; i < acts.size; i += 1) {
      const key = acts.locator(i).split("#")[0];
      const places = wanted.get(key);
      if (!places) continue;
      for (const place of places) {
        place.replaceWith(el("button", { type: "button", class: "place", title: "Show in the timeline", onclick: () => goTo(i) }, place.textContent));
      }
      wanted.delete(key);
    }
  }

  function copied(text) {
    c2.copy(text).then(() => c2.announce("Copied"));
  }

  /* ---- tables that stand in the page ----------------------------------------------------------------------------- */

  const order = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

  function keyOf(cell, kind) {
    const text = cell ? cell.textContent.trim() : "";
    if (kind === "number") return text === "" ? -Infinity : Number(text.replaceAll(",", ""));
    if (kind === "time") {
      const time = cell.querySelector("time");
      return time ? time.getAttribute("datetime") : "";
    }
    return text;
  }

  function enhance(table) {
    const body = table.tBodies[0];
    const rows = [...body.rows];
    const texts = rows.map((row) => row.textContent.toLowerCase());
    let shown = rows.map((_, i) => i);
    let sorted = { column: -1, down: false };
    const count = el("p", { class: "count" });
    const pager = c2.pager(fill);

    function fill() {
      pager.fit(shown.length, PAGE);
      const first = pager.state.page * PAGE;
      const here = new Set(shown.slice(first, first + PAGE));
      const wanted = new Set(shown);
      rows.forEach((row, i) => {
        row.hidden = !wanted.has(i);
        row.classList.toggle("other-page", !here.has(i));
      });
      count.textContent = shown.length === rows.length ? `${c2.number(rows.length)} rows` : `${c2.number(shown.length)} of ${c2.number(rows.length)} rows`;
    }

    function sort(column, header) {
      sorted = { column, down: sorted.column === column && !sorted.down };
      const { kind } = header.dataset;
      const keys = rows.map((row) => keyOf(row.cells[column], kind));
      const compare = (a, b) => (kind === "number" ? keys[a] - keys[b] : order.compare(keys[a], keys[b])) * (sorted.down ? -1 : 1) || a - b;
      shown.sort(compare);
      const everyone = rows.map((_, i) => i).sort(compare);
      body.append(...everyone.map((i) => rows[i]));
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      header.setAttribute("aria-sort", sorted.down ? "descending" : "ascending");
      pager.state.page = 0;
      fill();
      c2.announce(`Sorted by ${header.textContent}, ${sorted.down ? "descending" : "ascending"}`);
    }

    function search(words) {
      const wanted = words.trim().toLowerCase();
      const place = new Map([...body.rows].map((row, i) => [row, i]));
      shown = rows.map((_, i) => i).filter((i) => texts[i].includes(wanted)).sort((a, b) => place.get(rows[a]) - place.get(rows[b]));
      pager.state.page = 0;
      fill();
      c2.announce(count.textContent);
    }

    function asText() {
      const head = [...table.tHead.rows[0].cells].map((cell) => c2.cell(cell.textContent));
      const flat = (cell) => {
        const time = cell.querySelector("time");
        const brief = cell.querySelector("details li");
        return c2.cell(time ? time.getAttribute("datetime") : brief ? [...cell.querySelectorAll("li")].map((one) => one.textContent).join("; ") : [...cell.childNodes].map((node) => (node.nodeName === "BR" ? " " : node.textContent)).join(""));
      };
      return [head, ...shown.map((i) => [...rows[i].cells].map(flat))].map((line) => line.join("\t")).join("\n");
    }

    [...table.tHead.rows[0].cells].forEach((header, column) => {
      const button = el("button", { type: "button", class: "sort", onclick: () => sort(column, header) }, header.textContent);
      header.replaceChildren(button);
    });
    const [, searchField] = typed("Search", search);
    const bar = el("div", { class: "bar" }, searchField, el("button", { type: "button", onclick: () => copied(asText()) }, "Copy"), count, pager.bar);
    table.closest(".scroll").before(bar);
    fill();
  }

  document.querySelectorAll("table[data-name]").forEach((table) => {
    if (table.dataset.name !== "acts") enhance(table);
  });
  /* On paper the proof of each finding is open, also in browsers whose style sheets cannot say so. */
  addEventListener("beforeprint", () => document.querySelectorAll(".findings details").forEach((one) => one.setAttribute("open", "")));

  const box = document.getElementById("acts");
  if (box && acts.size) actTable(box);
})();
