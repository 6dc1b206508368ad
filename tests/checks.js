// What a page can say about itself; each check returns what is wrong, and nothing if nothing is.
window.checks = {
  // Text on its own background (WCAG 2.2, 1.4.3). A canvas reads colours in every notation.
  contrast() {
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const rgba = (color) => {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = color;
      canvas.fillRect(0, 0, 1, 1);
      return [...canvas.getImageData(0, 0, 1, 1).data];
    };
    const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    const light = (color) => {
      const [r, g, b] = color.slice(0, 3).map((v) => linear(v / 255));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    // The colours of all that is behind, each over the one below it.
    const behind = (element) => {
      let [color, left] = [[0, 0, 0], 1];
      for (let each = element; each && left > 0; each = each.parentElement) {
        const own = rgba(getComputedStyle(each).backgroundColor);
        const part = (left * own[3]) / 255;
        color = color.map((value, place) => value + part * own[place]);
        left -= part;
      }
      return color.map((value) => value + left * 255);
    };
    document.querySelectorAll("details").forEach((each) => (each.open = true));
    const poor = new Set();
    for (const element of document.querySelectorAll("body *")) {
      const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
      const silent = element.matches("option, script, style, title, desc");
      if (!own || silent || !element.checkVisibility()) continue;
      const style = getComputedStyle(element);
      const text = light(rgba(element.closest("svg") ? style.fill : style.color));
      const under = light(behind(element));
      const ratio = (Math.max(text, under) + 0.05) / (Math.min(text, under) + 0.05);
      if (ratio < 4.5) poor.add(`${element.outerHTML.slice(0, 80)} ${ratio.toFixed(2)}`);
    }
    return [...poor];
  },

  // How far the page is wider than the screen.
  overflow: () => document.documentElement.scrollWidth - document.documentElement.clientWidth,

  headings: () => [...document.querySelectorAll("h1, h2, h3, h4")].map((each) => Number(each.tagName[1])),

  doubleIds() {
    const ids = [...document.querySelectorAll("[id]")].map((each) => each.id);
    return ids.filter((id, place) => ids.indexOf(id) !== place);
  },

  lostLinks: () =>
    [...document.querySelectorAll("a")]
      .filter((each) => !document.getElementById(each.hash.slice(1)))
      .map((each) => each.href),

  // Whether the sentence that has the focus is in the list's view, and that in the window's.
  focusInView() {
    const box = document.getElementById("list").getBoundingClientRect();
    const own = document.activeElement.getBoundingClientRect();
    return own.top >= Math.max(box.top - 1, 0) && own.top < Math.min(box.bottom, innerHeight);
  },

  // Whether the list's view is full of sentences from top to bottom.
  listIsFull() {
    const box = document.getElementById("list").getBoundingClientRect();
    const boxes = [...document.querySelectorAll("article")].map((each) => each.getBoundingClientRect());
    return boxes.length > 0 && boxes[0].top <= box.top + 1 && boxes.at(-1).bottom >= box.bottom - 1;
  },

  // Until the page has come to rest, which takes a while where it scrolls smoothly.
  async atRest() {
    for (let last = null, same = 0; same < 10; last = scrollY) {
      await new Promise(requestAnimationFrame);
      same = scrollY === last ? same + 1 : 0;
    }
    return scrollY;
  },

  // The heading of the sentence at the top of the list's view.
  atTop() {
    const top = document.getElementById("list").getBoundingClientRect().top;
    const own = [...document.querySelectorAll("article")].find((each) => each.getBoundingClientRect().bottom > top + 2);
    return own.querySelector("h3").textContent;
  },

  gapsInList() {
    const boxes = [...document.querySelectorAll("article")].map((each) => each.getBoundingClientRect());
    return boxes.slice(1).map((box, i) => Math.abs(box.top - boxes[i].bottom));
  },

  // What is chosen in each filter, by the text of its option without the number; the rest is set back.
  choose(wanted) {
    for (const id of ["kind", "type", "model"]) {
      const options = [...document.getElementById(id).options];
      const text = wanted[id] ?? null;
      const found = text === null ? options[0] : options.find((each) => each.text.replace(/ \([\d,]+\)$/, "") === text);
      if (!found) throw new Error(`${id} has no ${text}`);
      found.selected = true;
    }
    const box = document.getElementById("disagree");
    box.checked = wanted.disagree ?? false;
    box.dispatchEvent(new Event("change"));
  },

  // Of every visible box that may scroll: whether it does, and what the keyboard and a screen reader make of it.
  boxes: () =>
    [...document.querySelectorAll(".scroll")]
      .filter((box) => box.checkVisibility())
      .map((box) => ({
        scrolls: box.scrollWidth > box.clientWidth,
        tab: box.tabIndex,
        role: box.role,
        name: box.ariaLabel,
        caption: box.querySelector("caption")?.textContent,
      })),

  // Charts that are cut off, and those whose smallest letters are smaller than `least` pixels.
  poorCharts(least) {
    const size = (svg) => {
      const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
      return scale * Math.min(...[...svg.querySelectorAll("text")].map((each) => parseFloat(getComputedStyle(each).fontSize)));
    };
    return [...document.querySelectorAll(".chart-box .scroll")]
      .filter((box) => box.scrollWidth > box.clientWidth || size(box.querySelector("svg")) < least)
      .map((box) => box.querySelector("title").textContent);
  },

  // Of every sentence, by its id, the sorted labels of the marks in each of its lines.
  marks() {
    dispatchEvent(new Event("beforeprint"));
    const of = (line) => [...line.querySelectorAll(".type")].map((each) => each.textContent).sort();
    return Object.fromEntries(
      [...document.querySelectorAll("article")].map((each) => [
        each.querySelector("h3").textContent.match(/sentence (\S+)/)[1],
        [...each.querySelectorAll(".line")].map(of),
      ]),
    );
  },

  searchTimes(words) {
    const search = document.getElementById("search");
    return words.map((word) => {
      const began = performance.now();
      search.value = word;
      search.dispatchEvent(new Event("input"));
      return performance.now() - began;
    });
  },
};
