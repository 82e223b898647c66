# Sends packets as they are told, one a line on stdin, with any source: KIND FROM FROMPORT TO TOPORT. It runs inside a sandbox, as root.
use strict;
use warnings;
use Socket qw(:all);

sub checksum {
  my ($data) = @_;
  $data .= "\0" if length($data) % 2;
  my $sum = 0;
  $sum += $_ for unpack('n*', $data);
  $sum = ($sum & 0xffff) + ($sum >> 16) while $sum >> 16;
  return ~$sum & 0xffff;
}

my %flags = (syn => 0x02, 'syn-ack' => 0x12, rst => 0x04, ack => 0x10);

sub payload {
  my ($kind, $six, $from, $from_port, $to, $to_port) = @_;
  my $pseudo = sub {
    my ($protocol, $length) = @_;
    return $six ? $from . $to . pack('NN', $length, $protocol) : $from . $to . pack('CCn', 0, $protocol, $length);
  };
  if (defined $flags{$kind}) {
    my $tcp = pack('nnNNCCnnn', $from_port, $to_port, 0x01020304, 0x05060708, 0x50, $flags{$kind}, 65535, 0, 0);
    substr($tcp, 16, 2) = pack('n', checksum($pseudo->(6, length $tcp) . $tcp));
    return (6, $tcp);
  }
  if ($kind eq 'udp') {
    my $udp = pack('nnnn', $from_port, $to_port, 12, 0) . 'ping';
    substr($udp, 6, 2) = pack('n', checksum($pseudo->(17, length $udp) . $udp));
    return (17, $udp);
  }
  my ($protocol, $type) = $six ? (58, 128) : (1, 8);
  my $echo = pack('CCnnn', $type, 0, 0, $from_port, 1) . ('e' x 16);
  substr($echo, 2, 2) = pack('n', checksum(($six ? $pseudo->(58, length $echo) : '') . $echo));
  return ($protocol, $echo);
}

socket(my $four, PF_INET, SOCK_RAW, 255) or die "raw IPv4: $!";
socket(my $sixth, PF_INET6, SOCK_RAW, 255) or die "raw IPv6: $!";
# Fragments of two runs belong to no one packet.
my $id = $$ % 30000;
while (my $line = <STDIN>) {
  my ($kind, $from_text, $from_port, $to_text, $to_port) = split ' ', $line;
  my $six = $to_text =~ /:/ ? 1 : 0;
  my ($from, $to) = map { inet_pton($six ? AF_INET6 : AF_INET, $_) } ($from_text, $to_text);
  # A fragment that has no other: the first, which says that more follow, or a later one.
  my $part = $kind eq 'first-fragment' ? 1 : $kind eq 'later-fragment' ? 2 : 0;
  my ($protocol, $body) = payload($part ? 'udp' : $kind, $six, $from, $from_port, $to, $to_port);
  $body = pack('nnnn', $from_port, $to_port, 24, 0) . 'fragment' if $part == 1;
  $body = 'fragment' x 2 if $part == 2;
  $id++;
  if ($six) {
    my $offset = $part == 1 ? 1 : 16;
    $body = pack('CCnN', $protocol, 0, $offset, $id) . $body if $part;
    my $head = pack('NnCC', 0x60000000, length $body, $part ? 44 : $protocol, 64) . $from . $to;
    send($sixth, $head . $body, 0, pack_sockaddr_in6(0, $to)) or die "send $line: $!";
  } else {
    my $fragment = $part == 1 ? 0x2000 : $part == 2 ? 2 : 0;
    my $head = pack('CCnnnCCn', 0x45, 0, 20 + length $body, $id, $fragment, 64, $protocol, 0) . $from . $to;
    send($four, $head . $body, 0, pack_sockaddr_in(0, $to)) or die "send $line: $!";
  }
}
