# Loading, exporting, and the constants.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use CloneTest;
use B ();
use Config;
no warnings 'portable';

my %values = (
    CSIGNAL        => 0x000000ff,
    NEWTIME        => 0x00000080,
    VM             => 0x00000100,
    FS             => 0x00000200,
    FILES          => 0x00000400,
    SIGHAND        => 0x00000800,
    PIDFD          => 0x00001000,
    PTRACE         => 0x00002000,
    VFORK          => 0x00004000,
    PARENT         => 0x00008000,
    THREAD         => 0x00010000,
    NEWNS          => 0x00020000,
    SYSVSEM        => 0x00040000,
    SETTLS         => 0x00080000,
    PARENT_SETTID  => 0x00100000,
    CHILD_CLEARTID => 0x00200000,
    DETACHED       => 0x00400000,
    UNTRACED       => 0x00800000,
    CHILD_SETTID   => 0x01000000,
    NEWCGROUP      => 0x02000000,
    NEWUTS         => 0x04000000,
    NEWIPC         => 0x08000000,
    NEWUSER        => 0x10000000,
    NEWPID         => 0x20000000,
    NEWNET         => 0x40000000,
    IO             => 0x80000000,
    CLEAR_SIGHAND  => 0x100000000,
    INTO_CGROUP    => 0x200000000,
);
my %wait = (
    P_ALL                      => 0,
    P_PID                      => 1,
    P_PGID                     => 2,
    P_PIDFD                    => 3,
    WNOHANG                    => 0x00000001,
    WSTOPPED                   => 0x00000002,
    WEXITED                    => 0x00000004,
    WCONTINUED                 => 0x00000008,
    WNOWAIT                    => 0x01000000,
    __WNOTHREAD                => 0x20000000,
    __WALL                     => 0x40000000,
    __WCLONE                   => 0x80000000,
    CLD_EXITED                 => 1,
    CLD_KILLED                 => 2,
    CLD_DUMPED                 => 3,
    CLD_TRAPPED                => 4,
    CLD_STOPPED                => 5,
    CLD_CONTINUED              => 6,
    PIDFD_NONBLOCK             => POSIX::O_NONBLOCK(),
    PIDFD_THREAD               => POSIX::O_EXCL(),
    PIDFD_SIGNAL_THREAD        => 1,
    PIDFD_SIGNAL_THREAD_GROUP  => 2,
    PIDFD_SIGNAL_PROCESS_GROUP => 4,
);
my %kcmp = (
    KCMP_FILE      => 0,
    KCMP_VM        => 1,
    KCMP_FILES     => 2,
    KCMP_FS        => 3,
    KCMP_SIGHAND   => 4,
    KCMP_IO        => 5,
    KCMP_SYSVSEM   => 6,
    KCMP_EPOLL_TFD => 7,
);
# some architectures say in a bit that such a request takes no argument
my $none = $Config{archname} =~ /^(?:alpha|mips|powerpc|ppc|sparc)/ ? 0x20000000 : 0;
my %ns = (
    NS_GET_USERNS    => $none | 0xb701,
    NS_GET_PARENT    => $none | 0xb702,
    NS_GET_NSTYPE    => $none | 0xb703,
    NS_GET_OWNER_UID => $none | 0xb704,
    NS_OWNER_UID     => $none | 0xb704,
);
my %net = (
    IFF_UP         => 0x0001,
    IFF_DEBUG      => 0x0004,
    IFF_NOTRAILERS => 0x0020,
    IFF_NOARP      => 0x0080,
    IFF_PROMISC    => 0x0100,
    IFF_ALLMULTI   => 0x0200,
    IFF_MULTICAST  => 0x1000,
    IFF_PORTSEL    => 0x2000,
    IFF_AUTOMEDIA  => 0x4000,
    IFF_DYNAMIC    => 0x8000,
);
my %others = (%wait, %kcmp, %ns, %net);
no strict 'refs';
for my $name (sort keys %values) {
    my $sub = "Linux::Clone::$name";
    ok defined &$sub, "$name is there" or next;
    is &$sub(), $values{$name}, "$name has linux/sched.h's value";
    is prototype($sub), '', "$name has the prototype ()";
    is eval "use strict; Linux::Clone::$name | 0", $values{$name}, "$name needs no parentheses";
}

for my $name (sort keys %others) {
    my $sub = "Linux::Clone::$name";
    ok defined &$sub, "$name is there" or next;
    is &$sub(), $others{$name}, "$name has Linux's value";
    is prototype($sub), '', "$name has the prototype ()";
}

my @defined = grep { defined &{"Linux::Clone::$_"} && /^(?:__)?[A-Z][A-Z_]+$/ && !/^CLONE_/ && $_ ne 'BEGIN' } keys %Linux::Clone::;
is_deeply [ sort @defined ], [ sort keys %values, keys %others ], 'and there are no others';

# Folded: the optree has a constant, no call.
my $code = B::svref_2object(sub { Linux::Clone::NEWNS() | Linux::Clone::IO() });
my @ops;
for (my $op = $code->START; $$op; $op = $op->next) { push @ops, $op->name }
ok !(grep { $_ eq 'entersub' || $_ eq 'bit_or' } @ops), "constants are folded (@ops)";

# Exports.
{
    package Nothing;
    eval 'use Linux::Clone; 1' or die $@;
    package main;
    is_deeply [ grep { $_ ne 'BEGIN' } keys %Nothing:: ], [], 'nothing is exported by default';
}
{
    package Some;
    eval 'use Linux::Clone qw(clone clone3 unshare :flags); 1' or die $@;
    package main;
    my %expected = map { ($_ eq 'CSIGNAL' ? $_ : "CLONE_$_") => $values{$_} } keys %values;
    is_deeply [ sort grep { $_ ne 'BEGIN' } keys %Some:: ], [ sort qw(clone clone3 unshare), keys %expected ],
        'on request: the functions, and the flags under the names of clone(2)';
    is_deeply { map { $_ => &{"Some::$_"}() } keys %expected }, \%expected, 'with their values';
    is prototype('Some::CLONE_NEWNS'), '', 'and their prototype';
    is \&Some::clone, \&Linux::Clone::clone, 'the functions are the same';
}
{
    package Waiting;
    eval 'use Linux::Clone qw(pidfd_open pidfd_send_signal waitid :wait); 1' or die $@;
    package main;
    is_deeply [ sort grep { $_ ne 'BEGIN' } keys %Waiting:: ], [ sort qw(pidfd_open pidfd_send_signal waitid), keys %wait ],
        'on request: the functions for pidfds and waiting, and their constants';
    is_deeply { map { $_ => &{"Waiting::$_"}() } keys %wait }, \%wait, 'with their values';
}
for (
    [ 'kcmp', \%kcmp, qw(kcmp) ],
    [ 'ns', \%ns, qw(setns pivot_root ns_get_userns ns_get_parent ns_get_nstype ns_get_owner_uid) ],
    [ 'net', \%net, qw(siocsifflags configure_loopback) ],
    )
{
    my ($tag, $constants, @functions) = @$_;
    my $package = "With_$tag";
    eval "package $package; use Linux::Clone qw(:$tag @functions); 1" or die $@;
    is_deeply [ sort grep { $_ ne 'BEGIN' } keys %{"${package}::"} ], [ sort @functions, keys %$constants ], ":$tag, and the functions that go with it";
    is_deeply { map { $_ => &{"${package}::$_"}() } keys %$constants }, $constants, 'with their values';
}
{
    package One;
    eval 'use Linux::Clone qw(CLONE_NEWNS); 1' or die $@;
    package main;
    is One::CLONE_NEWNS(), 0x20000, 'one flag by its name';
}
ok !eval 'package Wrong; use Linux::Clone qw(NEWNS); 1', 'bare names are not exported';
like $@, qr/"NEWNS" is not exported/, 'and it says so';

like $Linux::Clone::VERSION, qr/^\d+\.\d{3}$/, 'a version';
is $Linux::Clone::Child::VERSION, $Linux::Clone::VERSION, 'of Linux::Clone::Child, too';
# CPAN has 0.01, 1.0 to 1.3: what asks for one of these gets this one
for my $asked ('0.01', '1.0', '1.1', '1.2', '1.3', '2', '2.000', 'v2.0.0') {
    ok eval "package Asking; use Linux::Clone $asked; 1", "use Linux::Clone $asked" or diag $@;
}
ok !eval 'package Asking; use Linux::Clone 99; 1', 'but not a version yet to come';
like $@, qr/^Linux::Clone version 99 required--this is only version \Q$Linux::Clone::VERSION\E/, 'and perl says so';
ok !eval { XSLoader::load('Linux::Clone', '99.000'); 1 }, 'another version of the library';
like $@, qr/^Linux::Clone object version \Q$Linux::Clone::VERSION\E does not match bootstrap parameter 99\.000/,
    'is refused';

# The manual lists what there is.
my $manual = slurp($INC{'Linux/Clone.pm'});
for (['FLAGS', \%values], ['PIDFD AND WAIT CONSTANTS', \%wait], ['KCMP CONSTANTS', \%kcmp], ['NAMESPACE CONSTANTS', \%ns],
    ['INTERFACE FLAGS', \%net])
{
    my ($title, $constants) = @$_;
    my ($section) = $manual =~ /^=head1 \Q$title\E\n(.*?)^=head1/ms;
    my @listed = ($section // '') =~ /^=item ([A-Z_]+)$/mg;
    is_deeply [ sort @listed ], [ sort keys %$constants ], "$title lists each constant once, and no other";
}

done_testing;
