import { Ajv2020 } from 'ajv/dist/2020.js';
import { PlaceError } from '../../runtimes/index.ts';

const ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: false, logger: false });

/**
 * Checks arguments against a tool's JSON Schema; what is wrong with them is told in words that a model can mend its call by, or null.
 *
 * @throws PlaceError when the schema itself is none.
 */
export function argumentChecker(tool: string, parameters: unknown): (args: unknown) => string | null {
  let validate: ReturnType<typeof ajv.compile>;
  try {
    if (typeof parameters !== 'object' || parameters === null) throw new Error('it is no object');
    validate = ajv.compile(parameters);
  } catch (error) {
    throw new PlaceError('exception', `the parameters of its tool ${tool} are no JSON Schema: ${error instanceof Error ? error.message : String(error)}`);
  }
  return (args) => (validate(args) ? null : `the arguments of ${tool} do not fit: ${ajv.errorsText(validate.errors, { dataVar: 'arguments', separator: '; ' })}`);
}
