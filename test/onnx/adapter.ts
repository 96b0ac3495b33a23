/** @file Is there a WebGPU adapter to test on? */
import { Builder, createSession, type Session } from '../../src/onnx/index.ts';

/**
 * A session on WebGPU, or null where there is no adapter. Whoever names a Vulkan driver (VK_DRIVER_FILES, as CI does) means to test
 * on it, so that no adapter is then a failure and no reason to skip.
 *
 * Compiled shaders live as long as any session does: a test file keeps this one open, so that each is compiled once.
 */
export async function openAdapter(): Promise<Session | null> {
  const b = new Builder();
  b.output('y', b.add(b.input('x', 'float32', [1]), 1));
  try {
    return await createSession(b.build(), { device: 'webgpu' });
  } catch (error) {
    if (process.env['VK_DRIVER_FILES'] !== undefined) throw error;
    return null;
  }
}
