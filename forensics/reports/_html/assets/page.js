"use strict";
/* What all parts of the page share. Text enters the page as text nodes only: nothing here or below writes markup. */

const c2 = (() => {
  document.documentElement.classList.add("scripted-page");

  /** Make an element; attributes by name (`on…` are listeners), children are nodes or text. */
  function el(tag, attributes, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
      else made.setAttribute(name, value === true ? "" : String(value));
    }
    made.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
    return made;
  }

  const number = (value) => value.toLocaleString("en-US");

  /** `2017-01-16 00:03:14Z` of milliseconds since 1970, to the second as everywhere on the page. */
  const moment = (ms) => `${new Date(Math.floor(ms / 1000) * 1000).toISOString().slice(0, 19).replace("T", " ")}Z`;

  let told;
  /** Say something to a screen reader, once things have settled. */
  function announce(text) {
    clearTimeout(told);
    told = setTimeout(() => {
      document.getElementById("live").textContent = text;
    }, 400);
  }

  /** Copy text; files opened from a disk have no clipboard in some browsers, so there is an older way too. */
  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = el("textarea", { class: "visually-hidden", "aria-hidden": "true", tabindex: "-1" });
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
  }

  /** A cell for a spreadsheet: no tabs or line breaks, and nothing that would be taken for a formula. */
  function cell(text) {
    const flat = text.replace(/\s+/g, " ").trim();
    return /^[=+\-@']/.test(flat) ? `'${flat}` : flat;
  }

  function pager(onchange) {
    const state = { page: 0, pages: 1 };
    const label = el("span", { class: "page" });
    const go = (page) => {
      state.page = Math.max(0, Math.min(state.pages - 1, page));
      onchange();
    };
    const buttons = [
      el("button", { type: "button", "aria-label": "First page", onclick: () => go(0) }, "«"),
      el("button", { type: "button", "aria-label": "Page before", onclick: () => go(state.page - 1) }, "‹"),
      el("button", { type: "button", "aria-label": "Next page", onclick: () => go(state.page + 1) }, "›"),
      el("button", { type: "button", "aria-label": "Last page", onclick: () => go(state.pages - 1) }, "»"),
    ];
    const bar = el("div", { class: "pager", role: "group", "aria-label": "Pages" }, buttons[0], buttons[1], label, buttons[2], buttons[3]);
    /** Fit the pager to a number of rows. */
    function fit(rows, size) {
      state.pages = Math.max(1, Math.ceil(rows / size));
      state.page = Math.min(state.page, state.pages - 1);
      label.textContent = `${number(state.page + 1)} of ${number(state.pages)}`;
      bar.hidden = state.pages < 2;
      buttons[0].disabled = buttons[1].disabled = state.page === 0;
      buttons[2].disabled = buttons[3].disabled = state.page === state.pages - 1;
    }
    return { state, bar, fit, go };
  }

  return { el, number, moment, announce, copy, cell, pager };
})();
