/** @file After the run: one HTML page about a job or several, and event files for TensorBoard. */
export { type Said, dialogueOf, speakerOf } from './dialogue.ts';
export { isReport } from './page.ts';
export { type ReportOptions, writeReport } from './report.ts';
export { tokenTextsOf } from './samples.ts';
export { writeTensorboard } from './tensorboard.ts';
