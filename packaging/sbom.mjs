import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/**
 * A bill of materials as CycloneDX 1.5 writes it (cyclonedx.org): of what is in the programs alone.
 * "npm sbom" lists every package of the lock file, and cannot tell what was bundled.
 */
export async function sbom(version, epoch) {
  const loads = JSON.parse(
    execFileSync(process.execPath, ['build.mjs', '--loads', '--all'], { encoding: 'utf8' }),
  );
  const names = [...new Set(Object.values(loads).flatMap(({ packages }) => packages))].sort();
  const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8'));
  const components = names.map((name) => {
    const { version, license, integrity = '' } = packages[`node_modules/${name}`];
    const [, sum] = /^sha512-(.*)$/.exec(integrity) ?? [];
    return {
      type: 'library',
      'bom-ref': `pkg:npm/${encodeURIComponent(name)}@${version}`,
      name,
      version,
      purl: `pkg:npm/${name.replace('@', '%40')}@${version}`,
      ...(license !== undefined && { licenses: [{ license: { id: license } }] }),
      ...(sum !== undefined && {
        hashes: [{ alg: 'SHA-512', content: Buffer.from(sum, 'base64').toString('hex') }],
      }),
    };
  });
  const document = {
    bomFormat: 'CycloneDX',
    specVersion: '1.5',
    version: 1,
    metadata: {
      timestamp: new Date(epoch * 1000).toISOString(),
      component: {
        type: 'application',
        'bom-ref': `pkg:npm/ovpn-killswitch@${version}`,
        name: 'ovpn-killswitch',
        version,
        licenses: [{ license: { id: 'MIT' } }],
      },
    },
    components,
    dependencies: [
      {
        ref: `pkg:npm/ovpn-killswitch@${version}`,
        dependsOn: components.map((each) => each['bom-ref']),
      },
    ],
  };
  return `${JSON.stringify(document, undefined, 2)}\n`;
}
