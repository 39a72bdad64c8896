"use strict";
/* Copying, sorting, filtering and comparing. The page says all it has to say without it. */
(() => {
  const make = (tag, text, of = {}) => {
    const made = Object.assign(document.createElement(tag), of);
    if (text !== undefined) made.textContent = text;
    return made;
  };

  /* Copy buttons. */
  const say = make("p", "", { className: "hidden" });
  say.setAttribute("role", "status");
  document.body.append(say);
  const copy = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = make("textarea", text);
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
  };
  for (const pre of document.querySelectorAll("pre")) {
    const button = make("button", "Copy", { type: "button", className: "copy" });
    const name = pre.dataset.name || pre.textContent.trim().split("\n")[0].slice(0, 60);
    button.setAttribute("aria-label", `Copy: ${name}`);
    button.addEventListener("click", async () => {
      await copy(pre.textContent.trimEnd());
      button.textContent = say.textContent = "Copied";
      setTimeout(() => (button.textContent = "Copy"), 1500);
    });
    const box = make("div", undefined, { className: "code" });
    pre.replaceWith(box);
    box.append(pre, button);
  }

  /* Sorting and filtering. */
  const keyOf = (cell) => cell.dataset.key ?? cell.textContent;
  const compareKeys = (a, b) => {
    const [x, y] = [keyOf(a), keyOf(b)];
    if (x === "" || y === "") return (x === "") - (y === "");
    return isNaN(x) || isNaN(y) ? x.localeCompare(y, "en", { numeric: true }) : x - y;
  };
  for (const table of document.querySelectorAll("table.tools")) {
    const body = table.tBodies[0];
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = make("button", head.textContent, { type: "button" });
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const sign = down ? -1 : 1;
        const empty = (row) => keyOf(row.cells[column]) === "";
        const rows = [...body.rows].sort((a, b) =>
          empty(a) || empty(b) ? empty(a) - empty(b)
            : sign * compareKeys(a.cells[column], b.cells[column]));
        body.append(...rows);
      });
      head.replaceChildren(button);
    });
    const label = make("label", "Show only rows with ", { className: "filter" });
    const field = make("input", undefined, { type: "search" });
    const count = make("span", "");
    count.setAttribute("role", "status");
    field.addEventListener("input", () => {
      const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of body.rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
        shown += !row.hidden;
      }
      count.textContent = words.length ? ` ${shown} of ${body.rows.length}` : "";
    });
    label.append(field, count);
    table.closest(".scroll").before(label);
  }

  /* What two files have, line by line: the longest common lines are kept. */
  const changes = (before, after) => {
    const [a, b] = [before.split("\n"), after.split("\n")];
    const kept = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
    for (let i = a.length - 1; i >= 0; i--)
      for (let j = b.length - 1; j >= 0; j--)
        kept[i][j] = a[i] === b[j] ? kept[i + 1][j + 1] + 1 : Math.max(kept[i + 1][j], kept[i][j + 1]);
    const lines = [];
    for (let i = 0, j = 0; i < a.length || j < b.length; ) {
      if (i < a.length && j < b.length && a[i] === b[j]) lines.push(`  ${a[i++]}`), j++;
      else if (j >= b.length || (i < a.length && kept[i + 1][j] >= kept[i][j + 1])) lines.push(`- ${a[i++]}`);
      else lines.push(`+ ${b[j++]}`);
    }
    return lines.join("\n");
  };

  /* Two trials beside each other. */
  const comparison = document.querySelector(".comparison");
  const all = document.querySelector("#trials table.tools");
  if (comparison && all) {
    const rows = new Map([...all.tBodies[0].rows].map((row) => [row.cells[0].textContent.trim(), row]));
    const names = [...all.tHead.rows[0].cells].map((head) => head.textContent);
    const order = [...rows.keys()].sort((a, b) => a - b);
    const form = make("p", undefined, { className: "choose" });
    const pick = [0, 1].map((place) => {
      const label = make("label", place ? " and " : "Trial ");
      const select = make("select");
      for (const number of order) {
        const arm = rows.get(number).cells[1].textContent.trim();
        select.append(make("option", arm === "search" ? number : `${number} (${arm})`, { value: number }));
      }
      select.value = comparison.dataset[place ? "second" : "first"];
      select.setAttribute("aria-label", place ? "Second trial" : "First trial");
      select.addEventListener("change", () => show());
      label.append(select);
      form.append(label);
      return select;
    });
    const [heads, body] = [comparison.querySelector("thead tr"), comparison.querySelector("tbody")];
    const code = comparison.querySelector("pre code");
    const fileOf = (number) => document.getElementById(`yaml-${number}`)?.textContent.trimEnd();
    const show = () => {
      const [one, two] = pick.map((select) => rows.get(select.value));
      heads.cells[1].textContent = `trial ${pick[0].value}`;
      heads.cells[2].textContent = `trial ${pick[1].value}`;
      body.replaceChildren();
      names.forEach((name, column) => {
        const [a, b] = [one, two].map((row) => row.cells[column].textContent.trim());
        if (!column || a === b) return;
        const row = body.insertRow();
        row.append(make("th", name, { scope: "row" }), make("td", a || "-"), make("td", b || "-"));
      });
      const [first, second] = pick.map((select) => fileOf(select.value));
      code.textContent = first === undefined || second === undefined
        ? "This page does not hold both schedules." : changes(first, second);
    };
    comparison.prepend(form);
  }

  /* A link into something folded opens it. */
  const open = () => {
    const target = location.hash && document.getElementById(location.hash.slice(1));
    for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
    if (target) target.scrollIntoView();
  };
  addEventListener("hashchange", open);
  open();
})();
