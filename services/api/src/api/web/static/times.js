// Keeps every <time data-when> current, on the reader's own clock.

const UNITS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
const day = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric", month: "short" });
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hour12: false });
const precise = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hour12: false });

// The same words as api.web.times.relative.
export function relative(seconds) {
  for (const [unit, size] of UNITS) {
    if (Math.abs(seconds) >= size) {
      const amount = Math.floor(Math.abs(seconds) / size);
      return seconds > 0 ? `in ${amount} ${unit}` : `${amount} ${unit} ago`;
    }
  }
  return "now";
}

function countdown(seconds) {
  if (seconds < 1) return "now";
  if (seconds >= 86400) return relative(seconds);
  const two = (value) => String(value).padStart(2, "0");
  const whole = Math.floor(seconds);
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor((whole % 3600) / 60);
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

function words(element, now) {
  const instant = new Date(element.dateTime);
  if (Number.isNaN(instant.getTime())) return element.textContent;
  const seconds = (instant.getTime() - now) / 1000;
  switch (element.dataset.when) {
    case "countdown": return countdown(seconds);
    case "clock": return `${day.format(instant)}, ${clock.format(instant)}`;
    case "precise": return precise.format(instant);
    default: return relative(seconds);
  }
}

export function refreshTimes(root = document) {
  const now = Date.now();
  for (const element of root.querySelectorAll("time[data-when]")) {
    const text = words(element, now);
    if (element.textContent !== text) element.textContent = text;
  }
}

export function keepCurrent() {
  refreshTimes();
  setInterval(() => { if (!document.hidden) refreshTimes(); }, 1000);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) refreshTimes(); });
}
