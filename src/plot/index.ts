/** @file Charts as pure functions, for every screen, table and page. */
export { bar, partition } from './bars.ts';
export { braillePlot, plotCells, type PlotCell, type PlotLayer, type PlotOptions } from './braille.ts';
export { formatBytes, formatClock, formatDuration, formatNumber, formatPercent, formatSigned } from './format.ts';
export { palette, rewardColor, rewardRamp } from './palette.ts';
export { extent, formatTick, linearScale, niceDomain, niceStep, niceTicks, type Domain, type Scale } from './scale.ts';
export { downsample, smooth, type BandPoint, type Point } from './series.ts';
export { block, sparkline, type SparklineOptions } from './sparkline.ts';
export { escapeXml, svgAxis, svgBandPath, svgDiamondsPath, svgLinePath, svgNumber, svgWhiskersPath, type SvgAxisOptions } from './svg.ts';
