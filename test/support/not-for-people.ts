/** Files of src whose strings only look like texts, and what they are. */
export const NOT_FOR_PEOPLE: Readonly<Record<string, string>> = {
  'src/backend/nftables-amendment.ts': 'commands of nft',
  'src/backend/nftables-rule.ts': 'rules of nft',
  'src/cli/answer-schema.ts': 'descriptions that docs/reference/answer.schema.json shows',
  'src/cli/completions.ts': 'programs of three shells',
  'src/host/sandbox.ts': 'shell programs that make namespaces; its errors are of tests and prove',
  'src/launch/installed-hooks.ts': 'the program that starts a hook',
  'src/launch/rehearse.ts': 'a shell program',
  'src/proof/capture.ts': 'shell programs, and the words of tcpdump that are waited for',
  'src/proof/openvpn.ts': 'options of OpenVPN, and its words that are waited for',
  'src/proof/pki.ts': 'a shell program that makes certificates',
  'src/proof/responder.ts': 'an answer of HTTP',
  'src/proof/services.ts': 'names of services inside of the small internet of prove',
  'src/proof/world.ts': 'shell programs that make the small internet of prove',
};
