#!/usr/bin/env node
// Plain old JavaScript: this file must load, and say what is wrong, on any Node that somebody may still have.
import { spawn } from 'child_process';
import { existsSync } from 'fs';
import { dirname, join } from 'path';
import module from 'module';
import { fileURLToPath } from 'url';

var needed = [22, 22];

function isNewEnough(version) {
  var parts = version.split('.').map(Number);
  return parts[0] > needed[0] || (parts[0] === needed[0] && parts[1] >= needed[1]);
}

if (isNewEnough(process.versions.node)) {
  // ONNX Runtime's own switch; nothing leaves this machine.
  process.env.ORT_DISABLE_TELEMETRY = '1';
  // Compiled code is kept between starts, where Node can.
  if (module.enableCompileCache) module.enableCompileCache();
  endWithParent();
  import('../dist/cli/main.js').then(
    function (program) {
      return program.runFromProcess();
    },
    function (error) {
      if (error && error.code === 'ERR_MODULE_NOT_FOUND' && String(error.message).indexOf('dist') !== -1) {
        process.stderr.write('rlrun is not built yet: run "npm run build" in its folder.\n');
        process.exitCode = 1;
      } else {
        throw error;
      }
    }
  );
} else {
  runUnderInstalledNode();
}

// Started by an older Node (below) that is suddenly gone: nobody would be left to stop this process.
function endWithParent() {
  if (!process.env.RLRUN_NODE_CHOSEN || !process.channel) return;
  process.on('disconnect', function () {
    process.kill(process.pid, 'SIGTERM');
  });
  process.channel.unref();
}

// `npm i node` puts a newer Node beside rlrun; npx finds it by itself, a start by path does not.
function runUnderInstalledNode() {
  var file = fileURLToPath(import.meta.url);
  var home = join(dirname(file), '..');
  var name = process.platform === 'win32' ? 'node.exe' : 'node';
  var candidates = [join(home, 'node_modules', 'node', 'bin', name), join(home, '..', 'node', 'bin', name)];
  var node = candidates.filter(function (candidate) {
    return existsSync(candidate);
  })[0];
  if (!node || process.env.RLRUN_NODE_CHOSEN) {
    process.stderr.write(
      'rlrun needs Node ' + needed.join('.') + ' or newer; this is ' + process.version + '. Install it from https://nodejs.org, or run "npm i node" here.\n'
    );
    process.exitCode = 1;
    return;
  }
  var env = Object.assign({}, process.env, { RLRUN_NODE_CHOSEN: '1' });
  var child = spawn(node, [file].concat(process.argv.slice(2)), { stdio: ['inherit', 'inherit', 'inherit', 'ipc'], env: env });
  // Ctrl-C in a terminal reaches the child by itself as well; it takes both for one.
  ['SIGINT', 'SIGTERM', 'SIGHUP'].forEach(function (signal) {
    process.on(signal, function () {
      child.kill(signal);
    });
  });
  child.on('exit', function (code, signal) {
    process.exitCode = code === null ? 128 + (signal === 'SIGKILL' ? 9 : signal === 'SIGTERM' ? 15 : 2) : code;
  });
}
