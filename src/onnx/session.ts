/**
 * @file ONNX Runtime for the whole project: one small wrapper that knows its traps.
 *
 * `run` blocks its thread inside native code, so sessions belong in a worker. Import this module before anything that
 * loads onnxruntime-node: telemetry is decided when the native library loads.
 */
process.env['ORT_DISABLE_TELEMETRY'] ??= '1';
import type * as Ort from 'onnxruntime-node';
import { OnnxError, type DataType, type Model } from './ir.ts';
import { forCpu } from './passes/for-cpu/index.ts';
import { forWebGpu } from './passes/for-webgpu.ts';
import type { Pass } from './passes/rewrite.ts';
import { writeModelExternal } from './write-model.ts';

/** Where a session runs: the CPU, a GPU by WebGPU, or one by CUDA. */
export type Device = 'cpu' | 'webgpu' | 'cuda';

/** float16 as its bit patterns: ONNX Runtime 1.30 mishandles Float16Array. */
export type TensorArray = Float32Array | Float64Array | Int32Array | BigInt64Array | Uint8Array | Int8Array | Uint16Array;

/** A tensor outside the graph: row-major data, not copied on the way in. */
export interface HostTensor {
  readonly dataType: DataType;
  readonly dims: readonly number[];
  readonly data: TensorArray;
}

/** How a session is compiled. */
export interface SessionOptions {
  readonly device?: Device;
  /** Threads inside one operator; 0 (default): as many as cores. */
  readonly threads?: number;
  /** Writes ONNX Runtime's own profile (JSON) to files that begin with this. */
  readonly profilePrefix?: string;
  /** Refuses to fall back to the CPU for single operators: for probing a device. */
  readonly strictDevice?: boolean;
  /**
   * ONNX Runtime's memory patterns: from a second run of the same shapes on, all tensors lie in one block planned beforehand, which is
   * taken beside what the first run took and kept for each combination of shapes. No step measured got faster by it, and a decoder's
   * gradients took 1.4 to 1.7 times the memory: off unless asked for.
   */
  readonly memoryPattern?: boolean;
}

/** A compiled graph. */
export interface Session {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  /** Blocks until done. Outputs are fresh arrays; each costs a copy, so keep them small, and `release` large ones. */
  run(feeds: Readonly<Record<string, HostTensor>>): Promise<Record<string, HostTensor>>;
  /** Frees the native memory and finishes a profile. */
  dispose(): Promise<void>;
}

let loaded: Promise<typeof Ort> | undefined;
const ort = (): Promise<typeof Ort> =>
  (loaded ??= import('onnxruntime-node').then((module) => {
    const runtime = module.default as unknown as typeof Ort;
    // Read once, before the first session: what happens outside of any session, such as a search for a device, is told by errors as well.
    runtime.env.logLevel = 'fatal';
    return runtime;
  }));

/** Loads ONNX Runtime ahead of the first session. */
export async function loadRuntime(): Promise<void> {
  await ort();
}

const advice: Readonly<Record<Device, string>> = {
  cpu: '',
  webgpu: 'WebGPU needs a Vulkan, Metal or Direct3D 12 driver; use device: cpu on this machine',
  cuda: 'CUDA needs an NVIDIA driver, CUDA 12, cuDNN 9 and the files that onnxruntime-node downloads for it (README, Limits); use device: cpu or webgpu',
};

/** Device-specific forms, where a measurement asked for them. */
const deviceForms: Readonly<Record<Device, Pass>> = { cpu: forCpu, webgpu: forWebGpu, cuda: (model) => model };

/**
 * Compiles a graph for a device.
 *
 * @throws OnnxError when the device is not there (with what it needs), or when ONNX Runtime refuses the graph.
 */
export async function createSession(model: Model, { device = 'cpu', threads = 0, profilePrefix, strictDevice = false, memoryPattern = false }: SessionOptions = {}): Promise<Session> {
  const runtime = await ort();
  if (!runtime.listSupportedBackends().some(({ name }) => name === device)) {
    throw new OnnxError(`device ${device} is not part of this build of ONNX Runtime. ${advice[device]}`);
  }
  const { bytes, buffers } = writeModelExternal(deviceForms[device](model));
  const options: Ort.InferenceSession.SessionOptions = {
    executionProviders: [device],
    intraOpNumThreads: threads,
    enableMemPattern: memoryPattern,
    // Native messages go straight to the terminal and would tear the screen; failures reach us as errors anyway.
    logSeverityLevel: 4,
    externalData: buffers,
    ...(profilePrefix === undefined ? {} : { enableProfiling: true, profileFilePrefix: profilePrefix }),
    extra: {
      session: {
        // Every session has threads of its own, which after a run would spin for the next one: with several sessions in use, and a main
        // thread beside them, they take the cores from whoever works (a third of the time of a training step on two cores).
        intra_op: { allow_spinning: '0' },
        ...(strictDevice ? { disable_cpu_ep_fallback: '1' } : {}),
      },
    },
  };
  let session: Ort.InferenceSession;
  try {
    session = await runtime.InferenceSession.create(bytes, options);
  } catch (error) {
    const message = withoutSource(error instanceof Error ? error.message : String(error));
    const missing = device !== 'cpu' && /adapter|shared library|provider|device/i.test(message);
    throw new OnnxError(missing ? `device ${device} does not work here: ${message}. ${advice[device]}` : `ONNX Runtime refuses the graph: ${message}`, { cause: error });
  }
  return {
    inputNames: session.inputNames,
    outputNames: session.outputNames,
    async run(feeds) {
      const inputs: Record<string, Ort.Tensor> = {};
      for (const name of session.inputNames) {
        const feed = feeds[name];
        if (feed === undefined) throw new OnnxError(`the graph's input "${name}" was not fed`);
        inputs[name] = ortTensor(runtime, feed);
      }
      const outputs = await session.run(inputs);
      return Object.fromEntries(Object.entries(outputs).map(([name, tensor]) => [name, hostTensor(tensor)]));
    },
    async dispose() {
      if (profilePrefix !== undefined) session.endProfiling();
      await session.release();
    },
  };
}

/** A message of ONNX Runtime without the line of C++ that it came from. */
const withoutSource = (message: string): string => message.replace(/^\/\S+:\d+ .*? was false\.\s*/s, '').trim().replace(/\.$/, '');

function ortTensor(runtime: typeof Ort, { dataType, dims, data }: HostTensor): Ort.Tensor {
  const tensor = new runtime.Tensor(dataType as Ort.Tensor.Type, data as never, dims);
  // On Node 24 a float16 tensor holds a Float16Array, which the native side takes for zero bytes.
  if (dataType === 'float16' && data instanceof Uint16Array) (tensor as unknown as { cpuData: Uint16Array }).cpuData = data;
  return tensor;
}

function hostTensor(tensor: Ort.Tensor): HostTensor {
  const data = tensor.data as unknown as TensorArray | Float16Array;
  const bits = tensor.type === 'float16' && !(data instanceof Uint16Array) ? new Uint16Array(data.buffer as ArrayBuffer, data.byteOffset, data.length) : data;
  return { dataType: tensor.type as DataType, dims: tensor.dims, data: bits as TensorArray };
}

/**
 * Gives the memory of outputs back at once; they are empty afterwards. The garbage collector sees small objects only and comes late for the
 * numbers behind them, and once it counts them it comes often: every few runs it would look through a heap in which nothing has changed.
 */
export function release(outputs: Readonly<Record<string, HostTensor>>): void {
  for (const { data } of Object.values(outputs)) (data.buffer as ArrayBuffer).transfer(0);
}

/** A float32 tensor for `run`, over the given array. */
export const f32 = (data: Float32Array, dims: readonly number[]): HostTensor => ({ dataType: 'float32', dims, data });
/** An int32 tensor for `run`, over the given array. */
export const i32 = (data: Int32Array, dims: readonly number[]): HostTensor => ({ dataType: 'int32', dims, data });
/** An int64 tensor for `run`, over the given array. */
export const i64 = (data: BigInt64Array, dims: readonly number[]): HostTensor => ({ dataType: 'int64', dims, data });
