# siocsifflags and configure_loopback.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use CloneTest;
use Linux::Clone qw(:flags :net siocsifflags configure_loopback);
use IO::Socket::INET ();
use POSIX qw(EADDRNOTAVAIL ENETUNREACH ENODEV EPERM SIGCHLD);
use Socket qw(AF_INET SOCK_DGRAM inet_aton inet_ntoa pack_sockaddr_in unpack_sockaddr_in);

sub outcome { my ($code) = @_; $! = 0; my $got = $code->(); return $got == -1 ? 'errno ' . ($! + 0) : $got }

# What netdevice(7) says of an interface, by perl's own ioctl.
my %request = (SIOCGIFFLAGS => 0x8913, SIOCGIFADDR => 0x8915, SIOCSIFADDR => 0x8916, SIOCGIFNETMASK => 0x891b, SIOCBRADDBR => 0x89a0);

sub request {
    my ($name, $ifreq) = @_;
    socket my $socket, AF_INET, SOCK_DGRAM, 0 or die "socket: $!";
    ioctl $socket, $request{$name}, $ifreq or return;
    return $ifreq;
}
sub flags { my ($name) = @_; my $ifreq = request('SIOCGIFFLAGS', pack 'Z16 x24', $name) // return "errno " . ($! + 0); return unpack 'x16 S', $ifreq }

sub address {
    my ($name, $what) = @_;
    my $ifreq = request($what // 'SIOCGIFADDR', pack 'Z16 x24', $name) // return "errno " . ($! + 0);
    return inet_ntoa((unpack_sockaddr_in(unpack 'x16 a16', $ifreq))[1]);
}
sub set_address { my ($name, $address) = @_; return request('SIOCSIFADDR', pack 'Z16 a16 x8', $name, pack_sockaddr_in(0, inet_aton($address))) }

# A connection over TCP, whose both ends say something: what they hear, or why there is none.
sub talk {
    my ($address) = @_;
    my $server = IO::Socket::INET->new(LocalAddr => $address, Listen => 1, Proto => 'tcp') or return 'errno ' . ($! + 0);
    my $port = $server->sockport;
    my $pid = spawn(sub {
        my $client = IO::Socket::INET->new(PeerAddr => $address, PeerPort => $port, Proto => 'tcp', Timeout => 10) or return 1;
        print {$client} "ping\n";
        return <$client> eq "pong\n" ? 0 : 2;
    });
    # a client that cannot connect is not waited for
    vec(my $ready = '', fileno $server, 1) = 1;
    my $peer = select($ready, undef, undef, 10) ? $server->accept : undef;
    my $heard = 'nothing';
    if ($peer) {
        chomp($heard = <$peer>);
        print {$peer} "pong\n";
        close $peer;
    }
    return "$heard, " . CloneTest::reap($pid);
}
# Without its end: nothing to accept means that there is no way to the address.
sub way {
    my ($address) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => $address, PeerPort => 9, Proto => 'udp') or return 'errno ' . ($! + 0);
    return 'a way';
}

my $network = namespace_flags(CLONE_NEWNET);
sub inside { my ($code) = @_; return result($code, $network) }

# A bridge, or else a tun: its name, or why there is none. It is there until the caller ends.
my $tun;

sub make {
    return 'br0' if defined request('SIOCBRADDBR', "br0\0");
    my $refusal = "no bridge: $!";
    open $tun, '+<', '/dev/net/tun' or return "$refusal; no tun: $!";
    my $ifreq = pack 'Z16 S x22', 'tun0', 1;    # IFF_TUN
    ioctl $tun, 0x400454ca, $ifreq or return "$refusal; no tun: $!";    # TUNSETIFF
    return 'tun0';
}

my ($loopback, $running) = (0x8, 0x40);    # IFF_LOOPBACK, IFF_RUNNING

SKIP: {
    needs($network, 23);

    # ---- configure_loopback ----

    is inside(sub { return (flags('lo') & IFF_UP) . ' ' . way('127.0.0.1') }), '0 errno ' . ENETUNREACH, 'a new network namespace: lo is down';
    is inside(sub {
        $! = 77;
        my $retval = configure_loopback;
        return join ' ', $retval, $! + 0, flags('lo') & (IFF_UP | $loopback), address('lo'), address('lo', 'SIOCGIFNETMASK');
    }), '0 77 9 127.0.0.1 255.0.0.0', 'configure_loopback: lo is up, with its address and mask';
    is inside(sub { configure_loopback; talk('127.0.0.1') }),   'ping, exit 0', 'TCP over 127.0.0.1';
    is inside(sub { configure_loopback; talk('127.8.9.10') }),  'ping, exit 0', 'and over all of its network';
    is inside(sub { join ' ', map { configure_loopback } 1 .. 3 }), '0 0 0', 'it can be repeated';
    is inside(sub {
        configure_loopback;
        # 0.0.0.0 takes an address away
        set_address('lo', '0.0.0.0') or return "SIOCSIFADDR: $!";
        my $before = talk('127.0.0.1');
        return join '; ', $before, configure_loopback, talk('127.0.0.1'), address('lo:127.0.0.1', 'SIOCGIFNETMASK'), configure_loopback;
    }), 'errno ' . EADDRNOTAVAIL . '; 0; ping, exit 0; 255.0.0.0; 0', 'an address that was taken away is given back';
    is inside(sub {
        configure_loopback;
        set_address('lo', '10.9.8.7') or return "SIOCSIFADDR: $!";
        my $before = talk('127.0.0.1');
        return join '; ', $before, configure_loopback, map { talk($_) } '127.0.0.1', '10.9.8.7';
    }), 'errno ' . EADDRNOTAVAIL . '; 0; ping, exit 0; ping, exit 0', 'and another one is left';
    is inside(sub { siocsifflags 'lo', IFF_UP | IFF_PROMISC; configure_loopback; flags('lo') & (IFF_UP | IFF_PROMISC) }),
        IFF_UP | IFF_PROMISC, 'other flags stay';
    SKIP: {
        skip 'the kernel has no IPv6', 1 if !-e '/proc/net/if_inet6';
        is inside(sub { configure_loopback; slurp('/proc/self/net/if_inet6') =~ /^(\w+) .* lo$/m ? $1 : 'none' }),
            '0' x 31 . '1', 'the kernel adds ::1';
    }
    is inside(sub { configure_loopback; 1 }) . inside(sub { flags('lo') & IFF_UP }), '10', "another namespace's is another";

    # ---- siocsifflags ----

    is inside(sub { $! = 77; join ' ', siocsifflags('lo'), $! + 0, flags('lo') & (IFF_UP | $loopback) }), '0 77 9', 'siocsifflags: lo is up';
    is inside(sub { join ' ', siocsifflags('lo', undef), flags('lo') & IFF_UP, siocsifflags('lo', 0), flags('lo') & IFF_UP }),
        '0 1 0 0', 'undef for the flags; 0 turns it off';
    is inside(sub { join ' ', siocsifflags(bless(['lo'], 'Name'), "1"), flags('lo') & IFF_UP }), '0 1', 'an object and a string';

    my $settable = IFF_UP | IFF_DEBUG | IFF_NOTRAILERS | IFF_NOARP | IFF_PROMISC | IFF_ALLMULTI | IFF_MULTICAST | IFF_PORTSEL
        | IFF_AUTOMEDIA | IFF_DYNAMIC;
    my $refusal = inside(sub { make() });
    SKIP: {
        skip "no interface but lo: $refusal", 8 if $refusal !~ /^(?:br|tun)0$/;
        is inside(sub { my $name = make(); flags($name) & (IFF_UP | IFF_MULTICAST) }), IFF_MULTICAST, 'another interface';
        for ([ 'up and promiscuous', IFF_UP | IFF_PROMISC ], [ 'no ARP, all multicasts', IFF_NOARP | IFF_ALLMULTI | IFF_MULTICAST ], [ 'none', 0 ],
            [ 'all', $settable ], [ 'all but UP', $settable & ~IFF_UP ])
        {
            my ($what, $flags) = @$_;
            is inside(sub { my $name = make(); siocsifflags($name, $flags) . ' ' . (flags($name) & $settable) }), "0 $flags", "its flags: $what";
        }
        is inside(sub { my $name = make(); siocsifflags($name, IFF_NOARP | IFF_PROMISC); siocsifflags($name) . ' ' . (flags($name) & $settable) }),
            '0 ' . (IFF_UP | IFF_NOARP | IFF_PROMISC), 'without flags: up, and otherwise as it was';
        is inside(sub { my $name = make(); siocsifflags($name, $loopback | $running) . ' ' . (flags($name) & $loopback) }),
            '0 0', 'what cannot be set is ignored';
    }
    is inside(sub { outcome(sub { siocsifflags 'nosuch0' }) }), 'errno ' . ENODEV, 'no such interface: ENODEV';
    is inside(sub { outcome(sub { siocsifflags 'nosuch0', IFF_UP }) }), 'errno ' . ENODEV, 'with flags as well';
}
{ package Name; use overload '""' => sub { $_[0][0] } }

for my $call ([ siocsifflags => sub { siocsifflags 'lo' } ], [ 'with flags' => sub { siocsifflags 'lo', IFF_UP } ]) {
    my ($what, $code) = @$call;
    is result(sub { POSIX::setuid(65534) if $> == 0; outcome($code) }), 'errno ' . EPERM, "$what without privilege: EPERM";
}

# as in 1.3: a script does not go on without a network
like result(sub { POSIX::setuid(65534) if $> == 0; eval { configure_loopback; 1 } ? 'lives' : $! + 0 . " $@" }),
    qr/^${\EPERM} Linux::Clone::configure_loopback: .+ \(it takes CAP_NET_ADMIN in the network namespace\) at \Q$0\E line \d+\.\n\z/,
    'configure_loopback without privilege: it dies, with the reason and $!';

# ---- names and flags ----

is outcome(sub { siocsifflags 'x' x 15 }), 'errno ' . ENODEV, 'a name of 15 bytes';
for ('', 'x' x 16, "lo\0", "\0", "lo\0x", "\x{20ac}" x 6, undef, [], \'lo', *STDOUT, sub { }) {
    my $name = $_;
    ok !eval { siocsifflags $name; 1 }, 'what is no name';
    like $@, qr/^Linux::Clone::siocsifflags: \$ifname must be the name of an interface, 1 to 15 bytes without a NUL, not \S.* at \Q$0\E line \d+\.$/,
        'croaks';
}
for ('up', 1.5, [], *STDOUT, do { my $undef; \$undef }) {
    my $flags = ref eq 'SCALAR' ? $$_ : $_;
    ok !eval { siocsifflags 'nosuch0', $flags; 1 }, 'flags that are no integer';
    like $@, qr/^Linux::Clone::siocsifflags: \$flags must be an integer, not /, 'croak';
}
for my $flags (1 << 16, -1, 1e30) {
    ok !eval { siocsifflags 'nosuch0', $flags; 1 }, "the flags $flags";
    like $@, qr/^Linux::Clone::siocsifflags: \$flags is out of range: /, 'croak';
}
is prototype('Linux::Clone::siocsifflags'),       '$;$', 'the prototype of siocsifflags';
is prototype('Linux::Clone::configure_loopback'), '',    'that of configure_loopback';
{
    package Once { sub TIESCALAR { bless { value => $_[1], n => 0 } } sub FETCH { $_[0]{n}++; $_[0]{value} } }
    my @ties = (tie(my $name, 'Once', 'nosuch0'), tie(my $flags, 'Once', 1));
    # the kernel looks at the privilege first
    is outcome(sub { siocsifflags $name, $flags }), 'errno ' . ($> == 0 ? ENODEV : EPERM), 'tied arguments';
    is_deeply [ map { $_->{n} } @ties ], [ 1, 1 ], 'are read once';
}

# ---- nothing is left behind ----

{
    my $descriptors = descriptors();
    my $leaked = result(sub {
        my $before = descriptors();
        for (1 .. 300) {
            eval { configure_loopback };    # a user may not
            siocsifflags 'lo', IFF_UP;
            siocsifflags 'nosuch0';
        }
        return descriptors() - $before;
    }, $> == 0 ? CLONE_NEWNET : 0);
    is $leaked, 0, 'no descriptor more';
    is children(), 0, 'no child';
}

done_testing;
