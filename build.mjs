// Builds dist/: one CommonJS file for each hook and for each program. CommonJS starts faster than ESM, and a bundle needs no node_modules.
// Each file is renamed into place, so that a running test or hook never reads half of one.
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { build } from 'esbuild';

const programs = {
  'hooks/up.js': 'hooks/up.ts',
  'hooks/down.js': 'hooks/down.ts',
  'hooks/route-up.js': 'hooks/route-up.ts',
  'hooks/nm-dispatcher.js': 'hooks/nm-dispatcher.ts',
  'cli.js': 'src/cli/bin.ts',
  'resolver.js': 'src/host/resolver.ts',
  'demo.js': 'src/proof/demo.ts',
  'proof/prober.js': 'src/proof/prober.ts',
  'proof/responder.js': 'src/proof/responder.ts',
  'proof/visitor.js': 'src/proof/visitor.ts',
};

/** Plain sh, for when there is no Node. */
const scripts = { boot: 'src/boot/boot.sh', recover: 'src/cli/recover.sh', 'nm-dispatcher': 'src/cli/nm-dispatcher.sh' };

mkdirSync('dist', { recursive: true });
const draft = mkdtempSync('dist/.build-');
try {
  await Promise.all(
    Object.entries(programs).map(([file, entry]) =>
      build({
        entryPoints: [entry],
        outfile: join(draft, file),
        bundle: true,
        platform: 'node',
        target: 'node20',
        format: 'cjs',
        minify: true,
        legalComments: 'none',
        banner: { js: '#!/usr/bin/env -S node --v8-pool-size=0' },
      }),
    ),
  );
  writeFileSync(join(draft, 'package.json'), '{ "type": "commonjs" }\n');
  for (const [script, source] of Object.entries(scripts)) copyFileSync(source, join(draft, script));
  for (const file of [...Object.keys(programs), ...Object.keys(scripts), 'package.json']) {
    if (file !== 'package.json') chmodSync(join(draft, file), 0o755);
    mkdirSync(dirname(join('dist', file)), { recursive: true });
    renameSync(join(draft, file), join('dist', file));
  }
} finally {
  rmSync(draft, { recursive: true, force: true });
}
