// Dates as Slack writes them, in the reader's own zone. `<!date^…>` texts and message times come from here.

import { h } from './dom.js';

const format = (options) => new Intl.DateTimeFormat('en-US', options);
const CLOCK = format({ hour: 'numeric', minute: '2-digit' });
const CLOCK_SECS = format({ hour: 'numeric', minute: '2-digit', second: '2-digit' });
const MONTH_LONG = format({ month: 'long' });
const MONTH_SHORT = format({ month: 'short' });
const WEEKDAY = format({ weekday: 'long' });
const FULL = format({ dateStyle: 'full', timeStyle: 'long' });
const HALF_YEAR_MS = 182 * 24 * 3600 * 1000;

export const clock = (date) => CLOCK.format(date);
export const fullDate = (date) => FULL.format(date);
export const fromTs = (ts) => new Date(Number.parseFloat(ts) * 1000);

function ordinal(day) {
  const teen = day % 100 >= 11 && day % 100 <= 13;
  return day + ((!teen && { 1: 'st', 2: 'nd', 3: 'rd' }[day % 10]) || 'th');
}

// Slack leaves the year out of dates less than six months away.
const yearOf = (date, now) => (Math.abs(date - now) < HALF_YEAR_MS ? '' : `, ${date.getFullYear()}`);
const midnight = (date) => new Date(date.getFullYear(), date.getMonth(), date.getDate());

/** Whole days from `now`'s day to `date`'s day; daylight saving does not disturb it. */
export function dayOffset(date, now) {
  return Math.round((midnight(date) - midnight(now)) / 86_400_000);
}

function pretty(date, now, plain) {
  return { '-1': 'yesterday', 0: 'today', 1: 'tomorrow' }[dayOffset(date, now)] || plain;
}

const pad = (number) => String(number).padStart(2, '0');
const UNITS = [['year', 31_557_600], ['month', 2_629_800], ['week', 604_800], ['day', 86_400], ['hour', 3600], ['minute', 60]];

/** "3 minutes ago", "in 2 hours", "just now". */
export function ago(date, now) {
  const seconds = (now - date) / 1000;
  for (const [unit, length] of UNITS) {
    const count = Math.floor(Math.abs(seconds) / length);
    if (count < 1) continue;
    const words = `${count} ${unit}${count === 1 ? '' : 's'}`;
    return seconds > 0 ? `${words} ago` : `in ${words}`;
  }
  return seconds >= 0 ? 'just now' : 'in a moment';
}

const medium = (d, now) => `${MONTH_LONG.format(d)} ${ordinal(d.getDate())}${yearOf(d, now)}`;
const short = (d, now) => `${MONTH_SHORT.format(d)} ${d.getDate()}${yearOf(d, now)}`;
const long = (d, now) => `${WEEKDAY.format(d)}, ${medium(d, now)}`;

const TOKENS = {
  date: medium,
  date_num: (d) => `${d.getFullYear()}-${pad(d.getMonth() + 1)}-${pad(d.getDate())}`,
  date_slash: (d) => `${pad(d.getMonth() + 1)}/${pad(d.getDate())}/${d.getFullYear()}`,
  date_short: short,
  date_long: long,
  date_pretty: (d, now) => pretty(d, now, medium(d, now)),
  date_short_pretty: (d, now) => pretty(d, now, short(d, now)),
  date_long_pretty: (d, now) => pretty(d, now, long(d, now)),
  day_divider_pretty: (d, now) => pretty(d, now, long(d, now)),
  date_long_full: (d) => `${WEEKDAY.format(d)}, ${MONTH_LONG.format(d)} ${ordinal(d.getDate())}, ${d.getFullYear()}`,
  time: (d) => CLOCK.format(d),
  time_secs: (d) => CLOCK_SECS.format(d),
  ago,
};

/** Fill the tokens of a Slack date format; null if it has a token that Slack does not know. */
export function formatDate(timestamp, template, now = new Date()) {
  const date = new Date(Number(timestamp) * 1000);
  if (Number.isNaN(date.getTime())) return null;
  let known = true;
  const text = template.replace(/\{(\w+)\}/g, (whole, token) => {
    if (!Object.hasOwn(TOKENS, token)) known = false;
    return known ? TOKENS[token](date, now) : whole;
  });
  return known ? text : null;
}

/** A <time> element that follows the clock: "today" becomes "yesterday" without a reload. */
export function timeNode(timestamp, template, fallback) {
  const text = formatDate(timestamp, template);
  if (text === null) return document.createTextNode(fallback || '');
  const date = new Date(Number(timestamp) * 1000);
  return h('time', { class: 'date', datetime: date.toISOString(), title: fullDate(date), 'data-date': timestamp, 'data-format': template }, text);
}

/** Rewrite every relative date on the page; called by the clock in main.js. */
export function refreshDates() {
  for (const node of document.querySelectorAll('time[data-format]')) {
    const text = formatDate(node.dataset.date, node.dataset.format);
    if (text !== null && node.textContent !== text) node.textContent = text;
  }
}

/** "Today", "Yesterday" or "Friday, November 20th", for the line between two days of messages. */
export function dayLabel(date, now = new Date()) {
  const text = pretty(date, now, long(date, now));
  return text[0].toUpperCase() + text.slice(1);
}
