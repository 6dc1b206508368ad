// Tag what is typed with each model, and show how they differ. Everything from a text enters the page as text.
(() => {
  "use strict";
  const { models, types } = JSON.parse(document.getElementById("data").textContent);
  const at = (id) => document.getElementById(id);
  const form = at("form"), input = at("text"), token = at("token"), tip = at("tip");
  const least = at("least"), differ = at("differ");
  const panels = models.map((model) => at(`panel-${model}`));
  const boxes = panels.map((panel) => panel.querySelector(".tagged"));
  const MOST_ROWS = 1000, LONGEST_BLOCK = 2000;
  let shown = { text: "", found: [] };
  let asking = null;

  function element(name, className, text) {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  }
  const percent = (share) => `${(100 * share).toFixed(1)} %`;
  const entities = (number) => (number === 1 ? "1 entity" : `${number.toLocaleString("en")} entities`);

  // ---- asking the server

  // Its offsets count code points, those of a script UTF-16 units.
  function inUnits(text, found) {
    if (!/[\ud800-\udfff]/.test(text)) return found;
    const unit = [0];
    for (const character of text) unit.push(unit.at(-1) + character.length);
    return found.map((each) => ({ ...each, from: unit[each.start], to: unit[each.end] }));
  }

  async function ask(model, text, signal) {
    const headers = { "Content-Type": "application/json" };
    if (token) headers.Authorization = `Bearer ${token.value}`;
    const body = JSON.stringify({ texts: [text], model });
    const answer = await fetch("predict", { method: "POST", headers, body, signal });
    const said = await answer.json();
    if (!answer.ok) throw new Error(said.error);
    return inUnits(text, said.results[0].entities.map((each) => ({ from: each.start, to: each.end, ...each })));
  }

  async function tag() {
    // Half of a surrogate pair is no character.
    const text = input.value.toWellFormed?.() ?? input.value;
    asking?.abort();
    at("problem").textContent = "";
    if (!text.trim()) {
      at("status").textContent = "Type or paste a text first.";
      input.focus();
      return;
    }
    const own = (asking = new AbortController());
    const began = performance.now();
    at("status").textContent = "Tagging …";
    form.setAttribute("aria-busy", "true");
    try {
      const found = await Promise.all(models.map((model) => ask(model, text, own.signal)));
      if (own !== asking) return;
      shown = { text, found };
      at("result").hidden = false;
      const seconds = ((performance.now() - began) / 1000).toFixed(1);
      show(`in ${seconds} s`);
    } catch (error) {
      if (own !== asking) return;
      at("status").textContent = "";
      at("problem").textContent = error instanceof TypeError ? "The server does not answer." : error.message;
    } finally {
      if (own === asking) form.removeAttribute("aria-busy");
    }
  }

  // ---- the text of each model

  const nameOf = (each) => `${each.start} ${each.end} ${each.type}`;

  function mark(each, model, both) {
    const made = element("mark", both ? "" : "differs", shown.text.slice(each.from, each.to));
    const color = Math.max(types.indexOf(each.type), 0) % 8;
    made.style.setProperty("--tint", `var(--t${color})`);
    made.style.setProperty("--tint-ink", `var(--t${color}-ink)`);
    made.append(element("span", "type", each.type));
    made.dataset.tip = `${each.type} · ${percent(each.probability)}${both ? "" : ` · only ${model}`}`;
    made.tabIndex = -1;
    return made;
  }

  // In blocks of a line: the time that a browser takes for one block grows with the square of its marks. So a
  // line that is very long is cut, between entities.
  function draw(box, model, found, common) {
    const blocks = [];
    let block, size;
    const begin = () => {
      block = element("div");
      block.dir = "auto";
      blocks.push(block);
      size = 0;
    };
    const write = (text) => {
      for (const part of text.match(/[^\n]*\n|[^\n]+/g) ?? []) {
        block.append(part);
        size += part.length;
        if (part.endsWith("\n") || (size > LONGEST_BLOCK && part.endsWith(" "))) begin();
      }
    };
    let place = 0;
    begin();
    for (const each of found) {
      write(shown.text.slice(place, each.from));
      block.append(mark(each, model, common.has(nameOf(each))));
      place = each.to;
      size += each.to - each.from;
    }
    write(shown.text.slice(place));
    box.replaceChildren(...blocks);
    const first = box.querySelector("mark");
    if (first) first.tabIndex = 0;
  }

  // ---- the table of all of them

  function rowsOf(found) {
    const rows = new Map();
    found.forEach((of, place) => {
      for (const each of of) {
        const row = rows.get(nameOf(each)) ?? { each, by: models.map(() => null) };
        row.by[place] = each.probability;
        rows.set(nameOf(each), row);
      }
    });
    return [...rows.values()].sort((a, b) => a.each.start - b.each.start || a.each.end - b.each.end);
  }

  function tableRow({ each, by }) {
    const both = by.every((share) => share !== null);
    const row = element("tr", both ? "" : "differs");
    const name = element("th", "", each.text);
    name.scope = "row";
    name.dir = "auto";
    row.append(name, element("td", "word", each.type), element("td", "", `${each.start}–${each.end}`));
    for (const share of by) row.append(element("td", share === null ? "quiet" : "", share === null ? "–" : percent(share)));
    if (models.length > 1) row.append(element("td", "word", both ? "both" : `only ${models[by.findIndex((share) => share !== null)]}`));
    return row;
  }

  // ---- what is shown

  function show(how = "") {
    hideTip();
    const bound = Number(least.value) / 100;
    at("least-shown").textContent = `${least.value} %`;
    const found = shown.found.map((of) => of.filter((each) => each.probability >= bound));
    const names = found.map((of) => new Set(of.map(nameOf)));
    const common = names.reduce((all, own) => new Set([...all].filter((name) => own.has(name))));
    found.forEach((of, place) => {
      draw(boxes[place], models[place], of, common);
      panels[place].querySelector(".count").textContent = entities(of.length);
    });
    const rows = rowsOf(found);
    const different = rows.filter(({ by }) => by.includes(null));
    const wanted = differ?.checked ? different : rows;
    at("table").tBodies[0].replaceChildren(...wanted.slice(0, MOST_ROWS).map(tableRow));
    at("caption").textContent =
      wanted.length > MOST_ROWS ? `The first ${entities(MOST_ROWS)} of ${wanted.length.toLocaleString("en")}` : "All of them, in their order";
    const said = models.length > 1
      ? `${models.map((model, place) => `${model}: ${entities(found[place].length)}`).join(", ")}; ${different.length.toLocaleString("en")} found by only one.`
      : `${entities(found[0].length)}.`;
    at("status").textContent = how ? said.replace(/\.$/, `, ${how}.`) : said;
  }

  // ---- probabilities, at the pointer and at the focus

  let over = null;
  function placeTip() {
    const box = over?.getClientRects()[0], view = over?.closest(".tagged")?.getBoundingClientRect();
    tip.hidden = !box || !view || box.bottom < view.top || box.top > view.bottom;
    if (tip.hidden) return;
    tip.textContent = over.dataset.tip;
    const own = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(8, Math.min(box.left, innerWidth - own.width - 8))}px`;
    tip.style.top = `${box.top > own.height + 8 ? box.top - own.height - 4 : box.bottom + 4}px`;
  }
  const showTip = (event) => {
    over = event.target.closest?.("mark");
    placeTip();
  };
  const hideTip = () => {
    over = null;
    placeTip();
  };

  function step(event) {
    const way = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const from = event.target.closest("mark");
    if (!way || !from) return;
    const all = [...event.currentTarget.querySelectorAll("mark")];
    const to = all[all.indexOf(from) + way];
    if (!to) return;
    event.preventDefault();
    from.tabIndex = -1;
    to.tabIndex = 0;
    to.focus();
  }

  boxes.forEach((box) => {
    for (const name of ["mouseover", "focusin"]) box.addEventListener(name, showTip);
    for (const name of ["mouseleave", "focusout"]) box.addEventListener(name, hideTip);
    box.addEventListener("keydown", step);
    // The models' texts scroll together.
    box.addEventListener("scroll", () => {
      placeTip();
      const share = box.scrollTop / Math.max(1, box.scrollHeight - box.clientHeight);
      for (const other of boxes)
        if (other !== box && box.matches(":hover, :focus-within"))
          other.scrollTop = share * (other.scrollHeight - other.clientHeight);
    });
  });
  addEventListener("keydown", (event) => event.key === "Escape" && hideTip());
  addEventListener("scroll", placeTip, { passive: true });

  // ---- the form

  if (token) {
    const given = new URLSearchParams(location.hash.slice(1)).get("token");
    if (given) history.replaceState(null, "", location.pathname);
    token.value = given ?? sessionStorage.getItem("ner_dist token") ?? "";
    token.addEventListener("input", () => sessionStorage.setItem("ner_dist token", token.value));
    if (given) sessionStorage.setItem("ner_dist token", given);
  }
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    tag();
  });
  addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    form.requestSubmit();
  });
  at("file").addEventListener("change", async (event) => {
    const file = event.target.files[0];
    if (!file) return;
    input.value = await file.text();
    event.target.value = "";
    tag();
  });
  let drawing = 0;
  least.addEventListener("input", () => {
    cancelAnimationFrame(drawing);
    drawing = requestAnimationFrame(() => show());
  });
  differ?.addEventListener("change", () => show());
})();
