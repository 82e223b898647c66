/** The package's maintainer, as Debian's own tools let it be named. */
export const MAINTAINER = `${process.env.DEBFULLNAME ?? 'ovpn-killswitch authors'} <${process.env.DEBEMAIL ?? 'authors@ovpn-killswitch.invalid'}>`;
