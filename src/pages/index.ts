/** @file HTML pages for reports: one style sheet, one escape function, tables and charts. */
export { QuernError } from "../errors.js";
export { type Bar, bars, type FunnelBar, figure, figures, funnelPicture, histogram } from "./bars.js";
export { diffHtml, sideBySide } from "./diff.js";
export { escapeHtml, excerpt, MORE_SCRIPT, markedHtml, type Spans, spansOf, textHtml } from "./html.js";
export { CHART_SCRIPT, type ChartOptions, type Point, renderChart, type Series, ticks } from "./line-chart.js";
export { type LogBand, type LogChartOptions, type LogSeries, renderLogChart, shortNumber } from "./log-chart.js";
export { asNumber, count, duration, percent, plainNumber, size } from "./numbers.js";
export { folded, type PageOptions, page, paragraph, section } from "./page.js";
export { type Cell, type Column, numbersBehind, properties, type TableOptions, table } from "./table.js";
