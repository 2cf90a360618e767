// Numbers, times and durations as people read them.

/** A duration in nanoseconds: three significant digits, in the unit that fits. */
export function duration(ns) {
  const size = Math.abs(ns);
  if (size === 0) return "0";
  if (size < 1000) return `${Math.round(ns)} ns`;
  if (size < 999.5e3) return `${digits(ns / 1e3)} µs`;
  if (size < 999.5e6) return `${digits(ns / 1e6)} ms`;
  if (size < 60e9) return `${digits(ns / 1e9)} s`;
  const seconds = Math.round(size / 1e9);
  const sign = ns < 0 ? "−" : "";
  if (seconds < 3600) return sign + both(Math.floor(seconds / 60), "min", seconds % 60, "s");
  if (seconds < 86400) return sign + both(Math.floor(seconds / 3600), "h", Math.floor((seconds % 3600) / 60), "min");
  return sign + both(Math.floor(seconds / 86400), "d", Math.floor((seconds % 86400) / 3600), "h");
}

const both = (large, unit, small, smaller) => (small > 0 ? `${large} ${unit} ${small} ${smaller}` : `${large} ${unit}`);

/** A number with three significant digits, and none too many before the point. */
export function digits(value) {
  const size = Math.abs(value);
  const text = size >= 100 || size === 0 ? value.toFixed(0) : size >= 10 ? value.toFixed(1) : value.toFixed(2);
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

/** A duration with its sign, for offsets. */
export function offset(ns) {
  return ns > 0 ? `+${duration(ns)}` : ns < 0 ? `−${duration(-ns)}` : "0";
}

/** A count: grouped up to a million, then shortened. */
export function count(value) {
  if (value === undefined || value === null || !Number.isFinite(Number(value))) return "–";
  const number = Number(value);
  if (Math.abs(number) >= 1e9) return `${digits(number / 1e9)} G`;
  if (Math.abs(number) >= 1e6) return `${digits(number / 1e6)} M`;
  return number.toLocaleString("en", { maximumFractionDigits: 1 });
}

/** A count in little room. */
export function compact(value) {
  return value >= 1e9 ? `${digits(value / 1e9)} G` : value >= 1e6 ? `${digits(value / 1e6)} M` : value >= 1e4 ? `${digits(value / 1e3)} k` : count(value);
}

/** Bytes in binary units. */
export function bytes(value) {
  if (value === undefined || value === null) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let size = Number(value);
  let unit = 0;
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? size : digits(size)} ${units[unit]}`;
}

/** One of something, or several. */
export function plural(number, one, many = `${one}s`) {
  return `${count(number)} ${Number(number) === 1 ? one : many}`;
}

/** Nanoseconds since 1970 (a string, a BigInt or a number) as a BigInt; what is not a number is zero. */
export function nanos(value) {
  try {
    return typeof value === "number" ? BigInt(Math.round(value)) : BigInt(value ?? 0);
  } catch {
    return 0n;
  }
}

const two = (number) => String(number).padStart(2, "0");

/** A moment in local time, to the millisecond or the nanosecond. */
export function moment(ns, fine = false) {
  const time = nanos(ns);
  if (time === 0n) return "–";
  const date = new Date(Number(time / 1000000n));
  if (Number.isNaN(date.getTime())) return String(ns);
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  const fraction = fine ? String(time % 1000000000n).padStart(9, "0") : String(date.getMilliseconds()).padStart(3, "0");
  return `${day} ${clock(date)}.${fraction}`;
}

/** Hours, minutes and seconds. */
export function clock(date) {
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** How long ago a moment was. */
export function ago(ns) {
  const seconds = Math.round(Date.now() / 1000 - Number(nanos(ns) / 1000000000n));
  if (seconds < 0) return "in the future";
  if (seconds < 2) return "just now";
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400)} d ago`;
}

/** The beginning of an id, for where there is no room for all of it. */
export function short(id) {
  return String(id).slice(0, 8);
}

const CLOCK_STEPS = [1, 5, 10, 30, 60, 300, 600, 1800, 3600, 10800, 21600, 43200, 86400, 604800];

/** Round times of day in `[from, to]` (milliseconds since 1970): at most `wanted` of them. */
export function clockTicks(from, to, wanted) {
  const step = (CLOCK_STEPS.find((seconds) => (to - from) / 1000 / seconds <= wanted) ?? (to - from) / 1000 / wanted) * 1000;
  const shift = new Date(from).getTimezoneOffset() * 60000;
  const places = [];
  for (let at = Math.ceil((from - shift) / step) * step + shift; at <= to; at += step) places.push(at);
  return places;
}

/** Round places for ticks in `[from, to]`: about `wanted` of them. */
export function ticks(from, to, wanted) {
  const span = to - from;
  if (!(span > 0)) return [from];
  const rough = span / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough) ?? power * 10;
  const places = [];
  for (let at = Math.ceil(from / step) * step; at <= to + step * 1e-9; at += step) places.push(at);
  return places;
}
