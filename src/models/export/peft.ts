/** @file LoRA adapters as PEFT reads them. */
import { floatValues, type Tensor } from '../../onnx/index.ts';
import { transpose } from '../transpose.ts';
import type { StoredTensor } from '../safetensors.ts';
import type { ModelRecord } from '../types.ts';
import type { NamedBase } from './adapter-base.ts';

type LoraTraining = Extract<ModelRecord['train'], { method: 'lora' }>;

/** `<module>.lora_A` [in, r] → `base_model.model.<module>.lora_A.weight` [r, in]; B alike. */
export function peftTensors(adapters: ReadonlyMap<string, Tensor>): Map<string, StoredTensor> {
  return new Map([...adapters].map(([name, tensor]) => {
    const shape = tensor.dims.toReversed();
    return [`base_model.model.${name}.weight`, { dtype: 'F32', shape, data: transpose(floatValues(tensor), tensor.dims as [number, number]) }];
  }));
}

/** The modules that really have adapters: `q_proj` for all of that name, unless single ones were asked for. */
function targetModules(adapters: ReadonlyMap<string, Tensor>, { targets }: LoraTraining): string[] {
  const modules = [...adapters.keys()].filter((name) => name.endsWith('.lora_A')).map((name) => name.slice(0, -'.lora_A'.length));
  const areSingle = targets.some((target) => target.includes('.'));
  return [...new Set(areSingle ? modules : modules.map((module) => module.split('.').at(-1)!))].sort();
}

export function peftConfig(adapters: ReadonlyMap<string, Tensor>, train: LoraTraining, { name, revision }: NamedBase): Record<string, unknown> {
  return {
    peft_type: 'LORA',
    task_type: 'CAUSAL_LM',
    base_model_name_or_path: name,
    revision,
    r: train.rank,
    lora_alpha: train.alpha,
    lora_dropout: 0,
    target_modules: targetModules(adapters, train),
    bias: 'none',
    fan_in_fan_out: false,
    use_rslora: false,
    modules_to_save: null,
    layers_to_transform: null,
    layers_pattern: null,
    init_lora_weights: true,
    inference_mode: true,
  };
}
