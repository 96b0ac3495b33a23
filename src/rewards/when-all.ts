/** `then` of all values: at once if they are all there, else when the last one is. */
export function whenAll<T, R>(values: readonly (T | Promise<T>)[], then: (values: readonly T[]) => R): R | Promise<R> {
  return values.some((value) => value instanceof Promise) ? Promise.all(values).then(then) : then(values as readonly T[]);
}
