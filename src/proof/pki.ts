import type { Sandbox } from '../host/sandbox.ts';
import { FOLDER } from './addresses.ts';

/** Where the throwaway keys and certificates lie inside the sandbox. */
export const PKI = `${FOLDER}/pki`;

const SCRIPT = `
umask 077; mkdir -p ${PKI}; cd ${PKI}
curve='-algorithm EC -pkeyopt ec_paramgen_curve:prime256v1'
openssl genpkey $curve -out ca.key
openssl req -x509 -new -key ca.key -days 2 -subj /CN=proof-ca -out ca.crt
for name in server client; do
  openssl genpkey $curve -out $name.key
  openssl req -new -key $name.key -subj /CN=$name -out $name.csr
  printf 'basicConstraints=CA:FALSE\\nkeyUsage=digitalSignature\\nextendedKeyUsage=%sAuth\\n' $name >$name.ext
  openssl x509 -req -in $name.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile $name.ext -out $name.crt
done
openvpn --genkey secret tc.key
`;

/**
 * Makes a CA, a server and a client, valid for two days.
 * @throws Error with the output of openssl or openvpn.
 */
export async function makePki(sandbox: Sandbox): Promise<void> {
  const { status, stderr } = await sandbox.ask(['sh', '-eu'], { stdin: SCRIPT });
  if (status !== 0) throw new Error(`no keys and certificates: ${stderr.trim()}`);
}
