// Copies what is shown of a table, in the order in which it is shown.
{
  const isShown = (place) => !place.hidden && !place.classList.contains("off");
  const tidy = (text) => text.replace(/\s+/g, " ").trim();

  // Main text of a cell and the small print below it, without footnotes and marks.
  function parts(cell) {
    const copy = cell.cloneNode(true);
    const small = tidy(copy.querySelector("small")?.textContent ?? "");
    copy.querySelectorAll("sup, small, .mark").forEach((one) => one.remove());
    return { text: tidy(copy.textContent), small, span: cell.colSpan };
  }
  const joined = ({ text, small }) => (small ? `${text} ${small}` : text);

  // A table as groups and names of columns, and rows below titles of sections.
  function read(table) {
    const [groups, names] = [...table.tHead.rows].map((row) => [...row.cells].filter(isShown).map(parts));
    const sections = [];
    for (const body of table.tBodies) {
      if (!isShown(body)) continue;
      if (body.classList.contains("title")) {
        const title = body.querySelector("th").firstChild.textContent;
        sections.push({ title: tidy(title), rows: [] });
        continue;
      }
      const rows = [...body.rows].filter(isShown);
      sections.at(-1).rows.push(...rows.map((row) => [...row.cells].filter(isShown).map(parts)));
    }
    return { groups, names, sections };
  }

  // Names of columns with their groups before them.
  function flat({ groups, names }) {
    const above = groups.flatMap(({ text, span }) => Array(span).fill(text));
    return names.map(({ text }, at) => tidy(`${above[at] ?? ""} ${text}`));
  }
  const spread = (row) => row.flatMap((cell) => [cell, ...Array(cell.span - 1).fill({ text: "", small: "", span: 1 })]);

  const quoted = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  function csv(content) {
    const names = ["section", ...flat(content)];
    const rows = content.sections.flatMap(({ title, rows }) => rows.map((row) => [{ text: title, small: "" }, ...spread(row)]));
    const hasSmall = names.map((_, at) => rows.some((row) => row[at]?.small));
    const line = (texts) => texts.map(quoted).join(",");
    const head = names.flatMap((name, at) => (hasSmall[at] ? [name, `${name}, spread (n)`] : [name]));
    const body = rows.map((row) => names.flatMap((_, at) => {
      const { text, small } = row[at] ?? { text: "", small: "" };
      return hasSmall[at] ? [text, small] : [text];
    }));
    return [head, ...body].map(line).join("\n");
  }

  function markdown(content) {
    const line = (texts) => `| ${texts.map((text) => text.replaceAll("|", "\\|")).join(" | ")} |`;
    const names = ["section", ...flat(content)];
    const rows = content.sections.flatMap(({ title, rows }) => rows.map((row) => {
      const texts = [title, ...spread(row).map(joined)];
      return [...texts, ...Array(Math.max(0, names.length - texts.length)).fill("")];
    }));
    return [line(names), line(names.map(() => "-")), ...rows.map(line)].join("\n");
  }

  const SPECIAL = {
    "\\": "\\textbackslash{}", "{": "\\{", "}": "\\}", "%": "\\%", "&": "\\&", "#": "\\#", _: "\\_", $: "\\$",
    "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "<": "$<$", ">": "$>$",
    "−": "$-$", "–": "--", "±": "$\\pm$", "≤": "$\\le$", "≥": "$\\ge$", "×": "$\\times$", "λ": "$\\lambda$",
    "→": "$\\to$", "↑": "$\\uparrow$", "↓": "$\\downarrow$", "·": "$\\cdot$",
  };
  const tex = (text) => [...text].map((letter) => SPECIAL[letter] ?? letter).join("");
  const several = (cell, place) => (cell.span > 1 ? `\\multicolumn{${cell.span}}{${place}}{${tex(joined(cell))}}` : tex(joined(cell)));
  function latex(content) {
    const { groups, names, sections } = content;
    const labels = groups[0]?.span ?? 1;
    let at = 1;
    const rules = groups.map(({ text, span }) => {
      const rule = text ? `\\cmidrule(lr){${at}-${at + span - 1}}` : "";
      at += span;
      return rule;
    });
    const line = (cells, place) => `${cells.map((cell) => several(cell, place)).join(" & ")} \\\\`;
    const has = groups.some(({ text }) => text);
    return [
      "% \\usepackage{booktabs}",
      `\\begin{tabular}{${"l".repeat(labels)}${"r".repeat(names.length - labels)}}`,
      "\\toprule",
      ...(has ? [line(groups, "c"), rules.join("")] : []),
      line(names, "c"),
      ...sections.flatMap(({ title, rows }) => [
        "\\midrule",
        `\\multicolumn{${names.length}}{l}{\\textbf{${tex(title)}}} \\\\`,
        ...rows.map((row) => line(row, "l")),
      ]),
      "\\bottomrule",
      "\\end{tabular}",
    ].join("\n");
  }

  async function put(text) {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const box = bubble.element("textarea", text);
      document.body.append(box);
      box.select();
      document.execCommand("copy");
      box.remove();
    }
  }

  for (const figure of document.querySelectorAll("figure.table")) {
    const bar = bubble.element("div", "", { className: "tools" });
    const told = bubble.element("span", "");
    told.setAttribute("role", "status");
    bar.setAttribute("role", "group");
    bar.setAttribute("aria-label", `Copy ${figure.getAttribute("aria-label")}`);
    for (const [name, write] of Object.entries({ LaTeX: latex, CSV: csv, Markdown: markdown })) {
      const button = bubble.element("button", name, { type: "button" });
      button.setAttribute("aria-label", `Copy this table as ${name}`);
      button.addEventListener("click", async () => {
        const tables = [...figure.querySelectorAll(".scroll:not(.off) table")];
        await put(`${tables.map((table) => write(read(table))).join("\n\n")}\n`);
        told.textContent = `copied as ${name}`;
        setTimeout(() => { told.textContent = ""; }, 2000);
      });
      bar.append(button);
    }
    bar.prepend(told, "Copy ");
    figure.querySelector("figcaption").before(bar);
  }
}
