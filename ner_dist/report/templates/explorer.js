// The explorer of sentences: filters, search, and a list of which only what is in view is in the page.
// Everything from the data enters the page as text.
(() => {
  "use strict";
  const data = JSON.parse(document.getElementById("data").textContent);
  const { models, types, kinds, sentences } = data;
  const at = (id) => document.getElementById(id);
  const list = at("list"), rows = at("rows"), search = at("search"), found = at("found");
  const AROUND = 4; // rows kept above and below the view
  const PRINTED = 500; // of more, a printer and who reads it would have enough

  let shown = []; // places of the sentences that pass the filters
  let tops = [0]; // top of each of them, and the height of all
  let current = -1;
  let printing = false;
  let nodes = new Map(); // shown place -> article
  let haystacks = null;
  let heights = new Float64Array(sentences.length); // measured; 0 is not yet

  function element(name, className, text) {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  // ---- one sentence

  const MISSED = kinds.indexOf("missed");
  const overlap = (a, b) => a[1] < b[2] && b[1] < a[2];
  const same = (a, b) => a.every((value, place) => value === b[place]);

  function marked(entity, words, why) {
    const mark = element("mark", why === "missed" ? "missed" : why ? "wrong" : "", words);
    mark.style.setProperty("--tint", `var(--t${entity[0] % 8})`);
    mark.style.setProperty("--tint-ink", `var(--t${entity[0] % 8}-ink)`);
    const type = element("span", "type", types[entity[0]]);
    if (why) type.textContent += " · " + why;
    mark.append(type);
    return mark;
  }

  // Entities of one side never overlap; what was missed may overlap what was predicted, and then has its own row.
  function line(who, sentence, entities, errors) {
    const row = element("div", "line");
    const text = element("div", "text");
    text.dir = "auto";
    const kindOf = (entity) => errors.find((error) => same(error.slice(1), entity))?.[0];
    const all = entities.map((entity) => [entity, kinds[kindOf(entity)]]);
    const apart = [];
    for (const [kind, ...entity] of errors)
      if (kind === MISSED)
        (entities.some((other) => overlap(entity, other)) ? apart : all).push([entity, kinds[kind]]);
    all.sort((a, b) => a[0][1] - b[0][1]);
    const word = (begin, end) =>
      sentence.tokens
        ? sentence.tokens.slice(begin, end).join(" ")
        : Array.from({ length: end - begin }, (_, i) => begin + i + 1).join(" ");
    let place = 0;
    for (const [entity, why] of all) {
      if (entity[1] > place) text.append(word(place, entity[1]) + " ");
      text.append(marked(entity, word(entity[1], entity[2]), why), " ");
      place = entity[2];
    }
    if (place < sentence.words) text.append(word(place, sentence.words));
    if (!sentence.tokens) text.classList.add("quiet");
    row.append(element("div", "who", who), text);
    if (apart.length) {
      const also = element("div", "also", "also ");
      also.dir = "auto";
      for (const [entity, why] of apart) also.append(marked(entity, word(entity[1], entity[2]), why), " ");
      text.append(also);
    }
    return row;
  }

  function article(place) {
    const sentence = sentences[shown[place]];
    const made = element("article");
    made.tabIndex = -1;
    made.setAttribute("aria-posinset", place + 1);
    made.setAttribute("aria-setsize", shown.length);
    const head = element("h3", "", `${place + 1}. sentence ${sentence.id}`);
    head.id = `sentence-${shown[place]}`;
    if (sentence.copies > 1) head.textContent += ` · ${sentence.copies} copies`;
    made.setAttribute("aria-labelledby", head.id);
    made.append(head, line("gold", sentence, sentence.gold, []));
    models.forEach((title, index) => {
      made.append(line(title, sentence, sentence.predicted[index], sentence.errors[index]));
    });
    made.classList.toggle("current", place === current);
    return made;
  }

  // ---- the window on the list

  function guess(index) {
    const perLine = Math.max(4, list.clientWidth / 60);
    return 70 + (models.length + 1) * 32 * Math.ceil((sentences[index].words + 1) / perLine);
  }

  function layOut() {
    tops = new Array(shown.length + 1);
    tops[0] = 0;
    for (let i = 0; i < shown.length; i++) tops[i + 1] = tops[i] + (heights[shown[i]] || guess(shown[i]));
    rows.style.height = `${tops[shown.length]}px`;
  }

  function placeAt(y) {
    let low = 0, high = shown.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (tops[middle] <= y) low = middle;
      else high = middle - 1;
    }
    return Math.max(0, low);
  }

  // A browser rounds where a list is scrolled to, so its first pixel may be of the sentence before.
  const atTop = () => placeAt(list.scrollTop + 1);

  function render() {
    if (printing) return;
    // Rows are measured once they are in the page; that may move what is below, so look again.
    for (let round = 0; round < 4; round++) {
      const anchor = atTop(), offset = list.scrollTop - (tops[anchor] || 0);
      const first = Math.max(0, anchor - AROUND);
      const last = Math.min(shown.length - 1, placeAt(list.scrollTop + list.clientHeight) + AROUND);
      show(first, last);
      if (!measure()) return;
      layOut();
      for (const [place, node] of nodes) node.style.top = `${tops[place]}px`;
      if (Math.abs(tops[anchor] + offset - list.scrollTop) >= 1) list.scrollTop = tops[anchor] + offset;
    }
  }

  function show(first, last) {
    const hadFocus = rows.contains(document.activeElement);
    for (const [place, node] of nodes)
      if (place < first || place > last) {
        node.remove();
        nodes.delete(place);
      }
    let before = null;
    for (let place = last; place >= first; place--) {
      let node = nodes.get(place);
      if (!node) {
        node = article(place);
        nodes.set(place, node);
        node.style.top = `${tops[place]}px`;
        rows.insertBefore(node, before);
      }
      before = node;
    }
    if (hadFocus && !rows.contains(document.activeElement)) list.focus({ preventScroll: true });
  }

  function measure() {
    let changed = false;
    for (const [place, node] of nodes) {
      const height = node.getBoundingClientRect().height;
      if (height && Math.abs(height - heights[shown[place]]) > 0.5) {
        heights[shown[place]] = height;
        changed = true;
      }
    }
    return changed;
  }

  // ---- filters

  // Upper case first: it alone makes one of the two small sigmas, and SS of a sharp s.
  const folded = (text) => text.toUpperCase().normalize("NFC").replace(/\s+/g, " ");

  function passes(sentence, index, wanted) {
    if (wanted.disagree && !sentence.disagree) return false;
    // One error of one model has to meet all that is asked of errors.
    const meets = ([kind, type]) =>
      (wanted.kind === "" || kind === wanted.kind) && (wanted.type === "" || type === wanted.type);
    const errors = wanted.model === "" ? sentence.errors.flat() : sentence.errors[wanted.model];
    if (!errors.some(meets)) return false;
    return wanted.text === "" || haystacks[index].includes(wanted.text);
  }

  function filter() {
    const number = (id) => (at(id).value === "" ? "" : Number(at(id).value));
    const wanted = {
      text: folded(search.value).trim(),
      type: number("type"),
      kind: number("kind"),
      model: number("model"),
      disagree: at("disagree").checked,
    };
    if (wanted.text && !haystacks)
      haystacks = sentences.map((each) => folded(`${each.id} ${(each.tokens || []).join(" ")}`));
    shown = [];
    sentences.forEach((sentence, index) => {
      if (passes(sentence, index, wanted)) shown.push(index);
    });
    current = -1;
    rows.replaceChildren();
    nodes.clear();
    layOut();
    list.scrollTop = 0;
    render();
    const all = sentences.length.toLocaleString("en");
    found.textContent = `${shown.length.toLocaleString("en")} of ${all} sentences`;
    at("printed").textContent = shown.length > PRINTED ? `The first ${PRINTED} are printed.` : "";
    at("none").hidden = shown.length > 0;
  }

  // ---- keyboard

  function select(place) {
    if (!shown.length) return;
    current = Math.max(0, Math.min(shown.length - 1, place));
    for (let round = 0; round < 2; round++) {
      const top = tops[current], bottom = tops[current + 1];
      if (top < list.scrollTop || bottom - top > list.clientHeight) list.scrollTop = top;
      else if (bottom > list.scrollTop + list.clientHeight) list.scrollTop = bottom - list.clientHeight;
      render();
    }
    for (const [at, node] of nodes) node.classList.toggle("current", at === current);
    nodes.get(current)?.focus({ preventScroll: true });
    list.scrollIntoView({ block: "nearest", behavior: "instant" });
  }

  // Who scrolled away from a sentence goes on where they are.
  function currentInView() {
    const top = list.scrollTop;
    return current >= 0 && tops[current + 1] > top + 1 && tops[current] < top + list.clientHeight;
  }

  function inView() {
    const box = list.getBoundingClientRect();
    return box.top < innerHeight && box.bottom > 0;
  }

  function backToList() {
    list.focus({ preventScroll: true });
    list.scrollIntoView({ block: "nearest", behavior: "instant" });
  }

  // Letters are shortcuts wherever nothing is typed; arrows scroll the page, unless the list has the focus.
  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.closest?.("input:not([type=checkbox]), select, textarea");
    const inList = list.contains(event.target);
    const step = { j: 1, k: -1, ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape" && at("explorer").contains(event.target)) backToList();
    else if (event.key === "/" && !typing) {
      search.focus();
      search.select();
    } else if (step && !typing && (inList || (event.key.length === 1 && inView())))
      select(currentInView() ? current + step : atTop());
    else return;
    event.preventDefault();
  }

  function options(id, names, counted) {
    const counts = new Map();
    for (const sentence of sentences) for (const index of counted(sentence)) counts.set(index, (counts.get(index) || 0) + 1);
    names.forEach((name, index) => {
      if (!counts.has(index)) return;
      const option = element("option", "", `${name} (${counts.get(index).toLocaleString("en")})`);
      option.value = index;
      at(id).append(option);
    });
  }

  options("type", types, (each) => new Set(each.errors.flat().map(([, type]) => type)));
  options("kind", kinds, (each) => new Set(each.errors.flat().map(([kind]) => kind)));
  options("model", models, (each) => each.errors.flatMap((own, index) => (own.length ? [index] : [])));
  if (models.length < 2) {
    at("disagree").closest("label").hidden = true;
    at("model").closest("label").hidden = true;
  }

  let waiting = 0;
  list.addEventListener("scroll", () => {
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(render);
  }, { passive: true });
  for (const id of ["type", "kind", "model", "disagree"]) at(id).addEventListener("change", filter);
  search.addEventListener("input", filter);
  document.querySelector(".filters").addEventListener("submit", (event) => event.preventDefault());
  document.addEventListener("keydown", onKey);
  rows.addEventListener("click", (event) => {
    const node = event.target.closest("article");
    for (const [place, own] of nodes) if (own === node && !String(getSelection())) select(place);
  });
  let width = list.clientWidth;
  new ResizeObserver(() => {
    if (list.clientWidth !== width) {
      // All heights are other ones now; the sentence at the top stays there.
      const anchor = atTop();
      width = list.clientWidth;
      heights.fill(0);
      layOut();
      list.scrollTop = tops[anchor];
    }
    render();
  }).observe(list);
  addEventListener("beforeprint", () => {
    printing = true;
    show(0, Math.min(shown.length, PRINTED) - 1);
  });
  addEventListener("afterprint", () => {
    printing = false;
    render();
  });
  filter();
})();
