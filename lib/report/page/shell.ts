// The frame of every page: one self-contained document that is not allowed to load anything.
import { type Markup, markup } from './markup.js';
import { STYLE } from './style.js';

/** The whole document, as text. */
export function shell(title: string, body: Markup, footer: Markup): string {
  return markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<link rel="icon" href="data:,">
<title>${title}</title>
<style>${STYLE}</style>
</head>
<body>
${body}
<footer><p>${footer}</p></footer>
</body>
</html>
`.toString();
}
