// Line icons, drawn here so that the page needs no icon font.

const PATHS = {
  hash: 'M4 9h16M4 15h16M10 3 8 21M16 3l-2 18',
  home: 'M4 11.5 12 4l8 7.5M6 10v9.5h12V10M10 19.5v-5h4v5',
  close: 'M6 6l12 12M18 6 6 18',
  back: 'M19 12H5M11 6l-6 6 6 6',
  menu: 'M4 7h16M4 12h16M4 17h16',
  chevron: 'M6 9.5 12 15.5 18 9.5',
  check: 'M5 12.5 10 17.5 19 7',
  send: 'M4 20 21 12 4 4l2.5 8zM6.5 12H14',
  thread: 'M4 5h16v11H10l-4.5 4v-4H4z',
  more: 'M5.5 12h.01M12 12h.01M18.5 12h.01',
  eye: 'M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12zM12 9.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.6z',
  window: 'M13 5h6v6M19 5l-8.5 8.5M17 14.5V19H5V7h4.5',
  file: 'M7 3h7l5 5v13H7zM14 3v5h5',
  download: 'M12 4v11M7.5 11 12 15.5 16.5 11M5 20h14',
  upload: 'M12 16V5M7.5 9 12 4.5 16.5 9M5 20h14',
  warn: 'M12 4 2.8 20h18.4zM12 10v4.5M12 17.4h.01',
  info: 'M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17zM12 11v5M12 8h.01',
  slash: 'M15 5 9 19',
  down: 'M12 5v14M6.5 13.5 12 19l5.5-5.5',
};

const SVG = 'http://www.w3.org/2000/svg';

/** An icon by name, `size` pixels wide; decoration only, hidden from screen readers. */
export function icon(name, size = 18) {
  const svg = document.createElementNS(SVG, 'svg');
  const attributes = { viewBox: '0 0 24 24', width: size, height: size, 'aria-hidden': 'true', class: `icon icon-${name}` };
  for (const [key, value] of Object.entries(attributes)) svg.setAttribute(key, value);
  const path = document.createElementNS(SVG, 'path');
  path.setAttribute('d', PATHS[name]);
  svg.append(path);
  return svg;
}
