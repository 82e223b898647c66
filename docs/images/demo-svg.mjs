// Draws docs/images/demo.svg from what a real run of the demo printed: npm run demo:svg
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const COLUMN = 8.4;
const LINE = 20;
const MARGIN = 20;

const STYLE = `
    text { font: 14px ui-monospace, 'DejaVu Sans Mono', monospace; white-space: pre; fill: #24292f }
    rect { fill: #f6f8fa; stroke: #d0d7de }
    .head { font-weight: bold }
    .clear { fill: #b3261e }
    .shut { fill: #1a7f37 }
    @media (prefers-color-scheme: dark) {
      text { fill: #d1d7e0 }
      rect { fill: #151b23; stroke: #3d444d }
      .clear { fill: #ff8a80 }
      .shut { fill: #57d37a }
    }`;

const escaped = (text) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

/** The lines to show: the two columns, and the count below. Throws when the run proved nothing. */
function shown(printed) {
  const lines = printed.split('\n');
  const head = lines.findIndex((line) => /^ +without the switch +with the switch$/.test(line));
  const end = lines.indexOf('', head);
  const count = lines.find((line) => /^without: [1-9][\d,]* packets in clear; with: 0$/.test(line));
  if (head < 0 || end < 0 || count === undefined)
    throw new Error('this run of the demo shows no difference: nothing is drawn');
  return { heading: lines[head], rows: lines.slice(head + 1, end), count };
}

/** The picture, as SVG for light and for dark screens. `printed` is the demo's standard output. */
export function demoSvg(printed) {
  const { heading, rows, count } = shown(printed);
  const split = heading.indexOf('with the switch', heading.indexOf('without the switch') + 8);
  const left = heading.indexOf('without the switch');
  const text = (x, row, style, words) =>
    `<text x="${(MARGIN + x * COLUMN).toFixed(1)}" y="${MARGIN + LINE * row + 14}"${style === '' ? '' : ` class="${style}"`}>${escaped(words.trimEnd())}</text>`;
  const lines = [
    text(left, 0, 'head', heading.slice(left, split)),
    text(split, 0, 'head', heading.slice(split)),
    ...rows.flatMap((row, index) => [
      text(0, index + 1, '', row.slice(0, left)),
      text(left, index + 1, 'clear', row.slice(left, split)),
      text(split, index + 1, 'shut', row.slice(split)),
    ]),
    text(0, rows.length + 2, 'head', count),
  ];
  const width = Math.ceil(2 * MARGIN + Math.max(...rows.map((row) => row.length), 72) * COLUMN);
  const height = 2 * MARGIN + LINE * (rows.length + 3);
  const size = `width="${width}" height="${height}"`;
  return `<svg xmlns="http://www.w3.org/2000/svg" ${size} viewBox="0 0 ${width} ${height}" role="img" xml:space="preserve">
  <title>${escaped(count)}</title>
  <style>${STYLE}
  </style>
  <rect x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="8"/>
  ${lines.join('\n  ')}
</svg>
`;
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  writeFileSync(new URL('demo.svg', import.meta.url), demoSvg(readFileSync(0, 'utf8')));
