// Review of suspicious spans: accept or reject, kept by the browser, saved as a file of corrections.
// Everything from the data enters the page as text.
(() => {
  "use strict";
  const { key, types, suspects } = JSON.parse(document.getElementById("data").textContent);
  const at = (id) => document.getElementById(id);
  const list = at("suspects"), filters = ["kind", "type", "state"].map(at);
  const STORE = `ner_dist review ${key}`;
  const READ = { accept: "accepted", reject: "rejected" };

  // ---- decisions, by what is decided on: a new run of the folds may rank it elsewhere

  const nameOf = (each) => JSON.stringify([each.split, each.tokens, each.was, each.now]);
  const names = suspects.map(nameOf);
  let decisions = {};
  try {
    decisions = JSON.parse(localStorage.getItem(STORE)) ?? {};
  } catch {
    // A browser that keeps nothing for files still saves what is decided now.
  }
  function keep() {
    try {
      localStorage.setItem(STORE, JSON.stringify(decisions));
    } catch {
      // As above.
    }
  }

  // ---- one suspect

  function element(name, className, text) {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function line(who, tokens, spans, className) {
    const row = element("div", "line");
    const text = element("div", "text");
    text.dir = "auto";
    let place = 0;
    for (const span of spans) {
      text.append(tokens.slice(place, span.start).join(" ") + (span.start > place ? " " : ""));
      const mark = element("mark", className, tokens.slice(span.start, span.end).join(" "));
      const color = Math.max(types.indexOf(span.type), 0) % 8;
      mark.style.setProperty("--tint", `var(--t${color})`);
      mark.style.setProperty("--tint-ink", `var(--t${color}-ink)`);
      mark.append(element("span", "type", span.type));
      text.append(mark, " ");
      place = span.end;
    }
    text.append(tokens.slice(place).join(" "));
    row.append(element("span", "who", who), text);
    return row;
  }

  function button(text, decision, place) {
    const made = element("button", decision, text);
    made.type = "button";
    made.addEventListener("click", () => decide(place, decision));
    return made;
  }

  const items = suspects.map((each, place) => {
    const item = element("li", "suspect");
    item.tabIndex = -1;
    const percent = (share) => (share < 0.001 ? "< 0.1 %" : `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`);
    const sure = `data ${percent(each.confidence)}, model ${percent(each.other_confidence)}`;
    const actions = element("div", "actions");
    actions.append(button("Accept", "accept", place), button("Reject", "reject", place), element("span", "decided"));
    item.append(
      element("h3", "", `${each.rank}. ${each.kind} · ${sure} · ${each.where}`),
      line("data", each.tokens, each.was),
      line("model", each.tokens, each.now),
      actions,
    );
    item.addEventListener("focusin", () => (current = place));
    return item;
  });
  list.append(...items);

  // ---- what is shown

  let current = -1;
  const visible = () => items.map((_, place) => place).filter((place) => !items[place].hidden);

  function show(place) {
    const decision = decisions[names[place]];
    items[place].dataset.decision = decision ?? "open";
    items[place].querySelector(".decided").textContent = READ[decision] ?? "";
    for (const each of items[place].querySelectorAll("button"))
      each.setAttribute("aria-pressed", String(each.className === decision));
  }

  function count() {
    const done = names.filter((name) => decisions[name]).length;
    const accepted = names.filter((name) => decisions[name] === "accept").length;
    at("progress").textContent = `${done} of ${names.length} decided, ${accepted} accepted; ${visible().length} shown`;
    at("none").hidden = visible().length > 0;
  }

  function filter() {
    const [kind, type, state] = filters.map((each) => each.value);
    suspects.forEach((each, place) => {
      const own = [...each.was, ...each.now].map((span) => span.type);
      const decision = decisions[names[place]] ?? "open";
      items[place].hidden = Boolean(
        (kind && each.kind !== kind) || (type && !own.includes(type)) || (state && decision !== state),
      );
    });
    count();
  }

  function go(place) {
    if (place === undefined) return;
    items[place].focus({ preventScroll: true });
    items[place].scrollIntoView({ block: "nearest" });
  }
  const next = () => go(visible().find((place) => place > current));
  const previous = () => go(visible().findLast((place) => place < current));

  function decide(place, decision) {
    if (decision) decisions[names[place]] = decision;
    else delete decisions[names[place]];
    keep();
    show(place);
    count();
  }

  function save() {
    const lines = suspects
      .map((each, place) => ({ ...each, decision: decisions[names[place]] ?? null }))
      .filter((each) => each.decision)
      .map((each) => JSON.stringify(each) + "\n");
    const link = element("a");
    link.href = URL.createObjectURL(new Blob(lines, { type: "application/jsonl" }));
    link.download = "corrections.jsonl";
    link.click();
    URL.revokeObjectURL(link.href);
  }

  const KEYS = {
    j: next,
    k: previous,
    s: save,
    a: () => current >= 0 && (decide(current, "accept"), next()),
    r: () => current >= 0 && (decide(current, "reject"), next()),
    u: () => current >= 0 && decide(current, null),
  };
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("select, input")) return;
    if (KEYS[event.key]) {
      event.preventDefault();
      KEYS[event.key]();
    }
  });

  for (const [id, values] of [
    ["kind", [...new Set(suspects.map((each) => each.kind))].sort()],
    ["type", types],
  ])
    for (const value of values) at(id).append(new Option(value, value));
  filters.forEach((each) => each.addEventListener("change", filter));
  at("save").addEventListener("click", save);
  items.forEach((_, place) => show(place));
  filter();
})();
