// What parallel axes are drawn with: one pen for the screen and for a PNG, one for an SVG, and what lines look like.

// Each kind of line, as studio/charts/parallel.py counts them, then what a hand has chosen.
export const LINES = [
  { name: "measured", colour: "--st-gray-color", width: 1, dash: [] },
  { name: "unmerged models", colour: "--st-orange-color", width: 2, dash: [2, 3] },
  { name: "front", colour: "--st-primary-color", width: 2, dash: [] },
];
export const HERE = { measured: [], predicted: [9, 5], nearest: [2, 4] };  // dashes of the recipe in hand, by what is known of it

export const canvasPen = (context, width, height, scale) => {
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  context.lineJoin = "round";
  const wear = ({ colour, width: thick = 1, dash = [], alpha = 1 }) => {
    context.strokeStyle = context.fillStyle = colour;
    context.lineWidth = thick;
    context.setLineDash(dash);
    context.globalAlpha = alpha;
  };
  return {
    ground: (colour) => {
      wear({ colour });
      context.fillRect(0, 0, width, height);
    },
    line: (xs, ys, look) => {
      wear(look);
      context.beginPath();
      let pen = false;
      for (let i = 0; i < xs.length; i++) {
        if (Number.isNaN(ys[i])) pen = false;
        else if (pen) context.lineTo(xs[i], ys[i]);
        else context.moveTo(xs[i], ys[i]), (pen = true);
      }
      context.stroke();
    },
    dot: (x, y, size, look) => {
      wear(look);
      context.fillRect(x - size, y - size, 2 * size, 2 * size);
    },
    text: (words, x, y, { colour, align = "center", size = 12, font }) => {
      wear({ colour });
      context.font = `${size}px ${font}`;
      context.textAlign = align;
      context.fillText(words, x, y);
    },
  };
};

const svgPen = (width, height) => {
  const parts = [];
  const safe = (words) => words.replace(/[&<>"]/g, (each) => `&#${each.charCodeAt(0)};`);
  const round = (value) => Math.round(value * 100) / 100;
  const ANCHORS = { left: "start", center: "middle", right: "end" };
  return {
    ground: (colour) => parts.push(`<rect width="${width}" height="${height}" fill="${safe(colour)}"/>`),
    line: (xs, ys, { colour, width: thick = 1, dash = [], alpha = 1 }) => {
      let path = "";
      for (let i = 0, pen = false; i < xs.length; i++) {
        const there = !Number.isNaN(ys[i]);
        if (there) path += `${pen ? "L" : "M"}${round(xs[i])} ${round(ys[i])}`;
        pen = there;
      }
      parts.push(
        `<path d="${path}" fill="none" stroke="${safe(colour)}" stroke-width="${thick}" stroke-opacity="${alpha}"` +
          `${dash.length ? ` stroke-dasharray="${dash.join(" ")}"` : ""}/>`
      );
    },
    dot: (x, y, size, { colour }) =>
      parts.push(
        `<rect x="${round(x - size)}" y="${round(y - size)}" width="${2 * size}" height="${2 * size}" fill="${safe(colour)}"/>`
      ),
    text: (words, x, y, { colour, align = "center", size = 12, font }) =>
      parts.push(
        `<text x="${round(x)}" y="${round(y)}" fill="${safe(colour)}" font-size="${size}" font-family="${safe(font)}"` +
          ` text-anchor="${ANCHORS[align]}">${safe(words)}</text>`
      ),
    finished: () =>
      `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">` +
      `${parts.join("")}</svg>`,
  };
};

// How a line of its kind looks among so many: fainter where they would make a carpet.
export const lookOf = (kind, count, look) => {
  const { colour, width, dash } = LINES[kind];
  const alpha = kind === 1 ? 1 : Math.max(Math.min(kind ? 1 : 0.8, (kind ? 24 : 14) / Math.sqrt(count)), kind ? 0.3 : 0.15);
  return { colour: look(colour), width, dash, alpha };
};

// One line over the others, on a ground of its own, with a mark where it crosses an axis.
export const overLine = (pen, xs, ys, ground, look, size) => {
  pen.line(xs, ys, { colour: ground, width: look.width + 3 });
  pen.line(xs, ys, look);
  if (size) xs.forEach((x, i) => Number.isNaN(ys[i]) || pen.dot(x, ys[i], size, look));
};

const download = (blob, name) => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
};

// The whole chart as a file, on the page's background: lines, axes with their ends, the legend.
export const picture = ({ place, look, lines, drawLine }, axes, { format, font, overlay, entries }) => {
  const { width, height, top, long, xs } = place;
  const ink = look("--st-text-color");
  const high = height + 24;
  const paper = document.createElement("canvas");
  [paper.width, paper.height] = [2 * width, 2 * high];
  const pen = format === "svg" ? svgPen(width, high) : canvasPen(paper.getContext("2d"), width, high, 2);
  pen.ground(look("--st-background-color"));
  for (const line of lines) drawLine(pen, axes, line);
  overlay(pen);
  axes.forEach((axis, k) => {
    pen.line([xs[k], xs[k]], [top, top + long], { colour: ink, width: 1, alpha: 0.45 });
    const write = (text, y) => pen.text(text, xs[k], y, { colour: ink, font });
    write(axis.label, top - 22);
    write(axis.ends[1].textContent, top - 8);
    write(axis.ends[0].textContent, top + long + 16);
  });
  let across = 4;
  for (const { name, colour, width: thick, dash } of entries) {
    pen.line([across, across + 26], [height + 8, height + 8], { colour: look(colour), width: thick, dash });
    pen.text(name, across + 32, height + 12, { colour: ink, font, align: "left" });
    across += 56 + 7 * name.length;
  }
  if (format === "svg") download(new Blob([pen.finished()], { type: "image/svg+xml" }), "chart.svg");
  else paper.toBlob((blob) => download(blob, "chart.png"));
};
