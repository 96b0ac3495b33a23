/** @file Between text and fields: what of an observation the model reads, and where in an action its answer goes. */

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Fields that hold what there is to read, in the environments that exist. The first of them that says something is taken. */
const READABLE = ['prompt', 'text', 'message', 'content', 'response', 'output', 'result', 'stdout', 'echoed_message', 'observation'];

/** An observation as text: the field that was named, else the one that is to be read, else all of it as JSON. */
export function observationText(observation: unknown, field: string | null): string {
  if (typeof observation === 'string') return observation;
  if (!isRecord(observation)) return JSON.stringify(observation) ?? '';
  if (field !== null) return readable(observation[field]);
  const texts = Object.entries(observation).filter(([, value]) => typeof value === 'string' && value !== '');
  if (texts.length === 1) return texts[0]![1] as string;
  const known = READABLE.find((name) => texts.some(([key]) => key === name));
  return known === undefined ? JSON.stringify(observation) : (observation[known] as string);
}

/** A field that was named: a text, or messages, of which the contents are read. */
function readable(value: unknown): string {
  if (typeof value === 'string') return value;
  if (Array.isArray(value) && value.every((each) => typeof each === 'string' || (isRecord(each) && typeof each['content'] === 'string'))) {
    return value.map((each: unknown) => (typeof each === 'string' ? each : String((each as { content: string }).content))).join('\n');
  }
  return value === undefined ? '' : JSON.stringify(value);
}

export interface ActionField {
  name: string;
  isNumber: boolean;
}

/** Where the answer goes: the field that was named, else the one that every action has to have. Null: there are several, or none. */
export function actionField(schema: unknown, named: string | null): ActionField | null {
  const { properties = {}, required = [] } = isRecord(schema) ? (schema as { properties?: Record<string, unknown>; required?: string[] }) : {};
  const name = named ?? (required.length === 1 ? required[0]! : null);
  if (name === null) return null;
  const type = (properties[name] as { type?: unknown } | undefined)?.type;
  return { name, isNumber: type === 'integer' || type === 'number' };
}

/** A number where one belongs; what is none is left for the server to refuse. */
export function actionOf(text: string, { name, isNumber }: ActionField): Record<string, unknown> {
  const answer = text.trim();
  return { [name]: isNumber && answer !== '' && Number.isFinite(Number(answer)) ? Number(answer) : text };
}
