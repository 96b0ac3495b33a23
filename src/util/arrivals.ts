/** Results in the order in which they come, whatever the order in which they were asked for. Rejects with the first failure, once all have ended. */
export async function* arrivals<T>(promises: readonly Promise<T>[]): AsyncGenerator<T> {
  const arrived: T[] = [];
  let wake = Promise.withResolvers<void>();
  let [left, failure] = [promises.length, null as { error: unknown } | null];
  for (const promise of promises) {
    promise
      .then((value) => void arrived.push(value), (error: unknown) => { failure ??= { error }; })
      .finally(() => { left -= 1; wake.resolve(); });
  }
  for (;;) {
    if (failure === null) yield* arrived.splice(0);
    if (left === 0) break;
    await wake.promise;
    wake = Promise.withResolvers();
  }
  if (failure !== null) throw (failure as { error: unknown }).error;
  yield* arrived.splice(0);
}
