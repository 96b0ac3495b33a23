/**
 * The rooms of the house, from the top down: a room imports only rooms below it, and only through their index. Checked on the
 * compiled files, where only the imports that really happen are left; that there are no circles also with type-only imports (scripts/lint-imports.ts).
 */
const rooms = ['cli', 'tui|report|server', 'pipeline', 'config', 'agents|environments|runtimes|rewards|tasks', 'policy', 'models', 'onnx'];

const downward = rooms.flatMap((room, level) =>
  level === 0 ? [] : [{
    name: `${room.replaceAll('|', '-')}-imports-down-only`,
    severity: 'error',
    from: { path: `^dist/(${room})/` },
    to: { path: `^dist/(${rooms.slice(0, level).join('|')})/` },
  }],
);

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    ...downward,
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'rooms-have-one-face',
      comment: 'Other rooms import nothing behind a room’s index.',
      severity: 'error',
      from: { path: '^dist/([^/]+)/' },
      to: { path: '^dist/([^/]+)/.+', pathNot: ['^dist/$1/', '^dist/[^/]+/index\\.js$', '^dist/[^/]+/types\\.js$', '^dist/util/'] },
    },
    { name: 'only-the-screen-loads-react', severity: 'error', from: { path: '^dist/', pathNot: '^dist/tui/' }, to: { path: 'node_modules/(ink|react)/' } },
    { name: 'only-the-floor-loads-onnxruntime', severity: 'error', from: { path: '^dist/', pathNot: '^dist/onnx/' }, to: { path: 'node_modules/onnxruntime-node/' } },
    { name: 'util-knows-nobody', severity: 'error', from: { path: '^dist/util/' }, to: { path: '^dist/(?!util/|events)' } },
  ],
  options: { doNotFollow: { path: 'node_modules' } },
};
