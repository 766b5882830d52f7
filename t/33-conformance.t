# Flags against what clone(2), clone3 and unshare(2) say of them, each refusal with its errno, and
# nothing left behind: no process, descriptor, mapping or scalar.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use CloneTest qw(:DEFAULT kernel_since);
use Config;
use POSIX qw(SIGCHLD EINVAL EPERM EBADF EBUSY EEXIST ENOENT ENOMEM EOPNOTSUPP);

my $root = $> == 0;
my $shared = Linux::Clone::VM() | Linux::Clone::VFORK();
sub bits { my $bits = 0; $bits |= Linux::Clone->can($_)->() for split /\|/, shift; return $bits }

# What there is now.
sub state_of { return join ' ', children(), descriptors(), stacks() }

# A row: flags, what the call needs besides, the errno, and from which kernel on.
my @clone = (
    [ 'SIGHAND',                        EINVAL,    'SIGHAND without VM' ],
    [ 'THREAD',                         EINVAL,    'THREAD without SIGHAND' ],
    [ 'VM|VFORK|THREAD',                EINVAL,    'THREAD without SIGHAND, with VM' ],
    [ 'NEWNS|FS',                       EINVAL,    'NEWNS with FS' ],
    [ 'NEWUSER|FS',                     EINVAL,    'NEWUSER with FS' ],
    [ 'VM|VFORK|SIGHAND|THREAD|NEWPID', EINVAL,    'NEWPID with THREAD' ],
    [ 'VM|VFORK|SIGHAND|THREAD|NEWUSER', EINVAL,   'NEWUSER with THREAD' ],
    [ 'NEWIPC|SYSVSEM',                 $root ? EINVAL : EPERM, 'NEWIPC with SYSVSEM' ],
    [ 'NEWUSER|NEWIPC|SYSVSEM',         EINVAL,    'the same in a user namespace' ],
    [ 'PIDFD|DETACHED',                 EINVAL,    'PIDFD with DETACHED', '5.2' ],
);
my @clone_only = (
    [ 'PIDFD|PARENT_SETTID',            EINVAL,    'PIDFD with PARENT_SETTID: one place for two', '5.2' ],
);
my @clone3_only = (
    [ 'DETACHED',                       EINVAL,    'DETACHED' ],
    [ 'DETACHED|NEWUSER',               EINVAL,    'DETACHED beside another flag' ],
    [ 'VM|VFORK|SIGHAND|CLEAR_SIGHAND', EINVAL,    'SIGHAND with CLEAR_SIGHAND', '5.5' ],
);
if (!$root) {
    push @clone, map { [ $_, EPERM, "$_ without privilege" ] } qw(NEWNS NEWUTS NEWIPC NEWNET NEWPID NEWCGROUP);
}

my $has_clone3 = do { my $pid = Linux::Clone::clone3(sub { 0 }, {}); waitpid $pid, 0 if $pid > 0; $pid > 0 };
diag "no clone3 here: $!" if !$has_clone3;
Linux::Clone::clone(sub { 0 }, 0, SIGCHLD) > 0 and wait;    # so that a stack is kept

for my $row (@clone, @clone_only) {
    my ($names, $errno, $text, $since) = @$row;
    SKIP: {
        skip "$text: since Linux $since", 2 if $since && !kernel_since($since);
        skip "$text: not under valgrind", 2 if bits($names) & $CloneTest::beyond_valgrind;
        my $before = state_of();
        my $ptid;
        my $pid = Linux::Clone::clone(sub { 0 }, 0, bits($names) | ($names =~ /THREAD/ ? 0 : SIGCHLD), $ptid);
        is $pid == -1 ? $! + 0 : "pid $pid", $errno, "clone: $text";
        is state_of() . ' ' . ($ptid // 'undef'), "$before undef", 'nothing is left behind';
    }
}
for my $row (@clone, @clone3_only) {
    my ($names, $errno, $text, $since) = @$row;
    SKIP: {
        skip 'no clone3', 2 if !$has_clone3;
        skip "$text: since Linux $since", 2 if $since && !kernel_since($since);
        my $before = state_of();
        my $pid = Linux::Clone::clone3(sub { 0 }, { flags => bits($names), $names =~ /PIDFD/ ? (pidfd => \my $pidfd) : () });
        is $pid == -1 ? $! + 0 : "pid $pid", $errno, "clone3: $text";
        is state_of(), $before, 'nothing is left behind';
    }
}

# ---- what the kernel takes ----

# Runs a child with these flags from a child, which PARENT can be given to: 'ok', or why there is none.
sub taken {
    my ($call, $names) = @_;
    my $flags = bits($names);
    my $word = pack 'x64';
    my $address = unpack('J', pack 'p', $word) + 7 & ~7;
    return result(sub {
        local $!;
        my $pid;
        if ($call eq 'clone') {
            my $signal = $names =~ /THREAD|PARENT\b/ ? 0 : SIGCHLD;
            $pid = eval { Linux::Clone::clone(sub { 0 }, 0, $flags | $signal, my $ptid, undef, $names =~ /CHILD/ ? $address : undef) };
        }
        else {
            my %args = (flags => $flags);
            $args{pidfd} = \my $pidfd if $names =~ /PIDFD/;
            $args{parent_tid} = \my $tid if $names =~ /PARENT_SETTID/;
            $args{child_tid} = $address if $names =~ /CHILD/;
            $pid = eval { Linux::Clone::clone3(sub { 0 }, \%args) };
        }
        return $@ if !defined $pid;
        return 'errno ' . ($! + 0) if $pid == -1;
        waitpid $pid, 0x40000000;    # __WALL
        return 'ok';
    });
}

# For each flag of the manual: flags with which it works, and in which of the three calls it does.
my @all = qw(clone clone3 unshare);
my %works = (
    (map { $_ => [ $_, @all ] } qw(NEWNS NEWUTS NEWIPC NEWNET NEWPID NEWCGROUP NEWUSER FILES FS SYSVSEM)),
    NEWTIME        => [ 'NEWTIME', qw(clone3 unshare) ],
    IO             => [ 'IO', qw(clone clone3) ],
    VM             => [ 'VM|VFORK', @all ],
    SIGHAND        => [ 'VM|VFORK|SIGHAND', @all ],
    THREAD         => [ 'VM|VFORK|SIGHAND|THREAD', @all ],
    CLEAR_SIGHAND  => [ 'CLEAR_SIGHAND', 'clone3' ],
    DETACHED       => [ 'DETACHED', 'clone' ],
    (map { $_ => [ $_, qw(clone clone3) ] } qw(VFORK PARENT PIDFD PARENT_SETTID CHILD_SETTID CHILD_CLEARTID PTRACE UNTRACED)),
    # t/21-clone-arguments.t and t/32-clone3.t have these, which need a value
    SETTLS         => [ '' ],
    INTO_CGROUP    => [ '' ],
    CSIGNAL        => [ '' ],
);
my %needs_namespace = map { $_ => 1 } qw(NEWNS NEWUTS NEWIPC NEWNET NEWPID NEWCGROUP NEWTIME);
for my $name (sort keys %works) {
    my ($names, @calls) = @{ $works{$name} };
    next if !@calls;
    $names .= '|NEWUSER' if $needs_namespace{$name} && !$root;
    for my $call (grep { $_ ne 'unshare' } @calls) {
        SKIP: {
            skip 'no clone3', 1 if $call eq 'clone3' && !$has_clone3;
            skip "$name: not under valgrind", 1 if bits($names) & $CloneTest::beyond_valgrind;
            my $end = taken($call, $names);
            # an old kernel, one without that kind of namespaces, a limit: not this module's matter
            my ($since) = manual($name) =~ /Linux (\d+\.\d+)/;
            skip "$name: $end, on a kernel before $since", 1 if $end =~ /^errno/ && !kernel_since($since);
            is $end, 'ok', "$call takes $names";
        }
    }
}
for my $names ('PARENT|NEWUSER', 'PARENT|NEWUSER|NEWPID', $root ? 'PARENT|NEWPID' : ()) {
    for my $call ('clone', $has_clone3 ? 'clone3' : ()) { is taken($call, $names), 'ok', "$call takes $names" }
}
SKIP: {
    skip 'no clone3', 1 if !$has_clone3;
    is taken('clone3', 'PIDFD|PARENT_SETTID'), 'ok', 'clone3 has a place for each';
}
SKIP: {
    my $flags = namespace_flags(Linux::Clone::NEWPID());
    needs($flags, 1);
    is result(sub { Linux::Clone::clone(sub { 0 }, 0, Linux::Clone::PARENT()) == -1 ? $! + 0 : 'done' }, $flags), EINVAL, 'PARENT in process 1';
}
1 while waitpid(-1, POSIX::WNOHANG()) > 0;

# ---- what the module refuses ----

my %croaks;
for (
    [ 'SIGHAND', 'NEWPID', 'VM|VFORK' ],
    [ 'SETTLS',  'VM',     'VFORK' ],
    )
{
    my ($one, $other, $rest) = @$_;
    @croaks{ "$one $other", "$other $one" } = (1, 1);
    my $flags = bits("$one|$other|$rest");
    ok !eval { Linux::Clone::clone(sub { 0 }, 0, $flags | SIGCHLD, undef, 4096); 1 }, "clone croaks: $one with $other";
    like $@, qr/^Linux::Clone::clone: $one with $other would /, 'and says so';
    my $tls = unpack 'J', pack 'p', my $word = pack 'x64';
    ok !eval { Linux::Clone::clone3(sub { 0 }, { flags => $flags, $one eq 'SETTLS' ? (tls => $tls) : () }); 1 }, "clone3 croaks: $one with $other";
    like $@, qr/^Linux::Clone::clone3: $one with $other would /, 'and says so';
}

# ---- the manual ----

# The entry of a flag in the manual, on one line.
sub manual {
    my ($name) = @_;
    our $flags //= slurp($INC{'Linux/Clone.pm'}) =~ /^=head1 FLAGS\n(.*?)^=head1 /ms ? $1 : die 'no FLAGS in the manual';
    return $flags =~ /^=item \Q$name\E\n(.*?)^=(?:item|back)/ms ? $1 =~ s/\s+/ /gr : '';
}

# Each "Not with", "Needs" and "Croaks with" of the manual has a row above, and the other way round.
my %refused;
for ([ 'clone', @clone, @clone_only ], [ 'clone3', @clone, @clone3_only ]) {
    my ($call, @rows) = @$_;
    for my $row (@rows) {
        my ($names, $errno, $text) = @$row;
        $refused{"$1 $3"}{$call} = $refused{"$3 $1"}{$call} = 1 if $text =~ /^(\w+) (with) (\w+)/;
        $refused{"$1 without $2"}{$call} = 1 if $text =~ /^(\w+) without (\w+)/;
    }
}
my %said;
for my $name (sort keys %works) {
    my $entry = manual($name);
    isnt $entry, '', "$name is in the manual";
    while ($entry =~ /\b((?i:in clone not|not|croaks)) with ((?:[A-Z_]+(?:, | or |(?=[^\w])))+)/g) {
        my ($how, @others) = (lc $1, split /, | or /, $2);
        for my $other (@others) {
            $said{"$name $other"} = 1;
            if ($how eq 'croaks') {
                ok $croaks{"$name $other"}, "$name croaks with $other, as the manual says";
                next;
            }
            my $calls = join ' ', sort keys %{ $refused{"$name $other"} || {} };
            my $only  = $name eq 'CLEAR_SIGHAND' || $other eq 'CLEAR_SIGHAND' ? 'clone3' : 'clone clone3';
            is $calls, $how eq 'not' ? $only : 'clone', "$name is refused with $other, as the manual says";
        }
    }
    while ($entry =~ /\bNeeds ((?:[A-Z]+(?: and |(?=\W)))+)/g) {
        for my $needed (split / and /, $1) {
            ok $refused{"$name without $needed"} || $needed eq 'VM' && $refused{"$name without SIGHAND"}, "$name needs $needed, as the manual says";
        }
    }
    my $unshare = $entry =~ /\bunshare\b(?! refuses)/ ? 'in unshare' : 'not';
    my $row = (grep { $_ eq 'unshare' } @{ $works{$name} }) ? 'in unshare' : 'not';
    is $row, $unshare, "$name: the manual says whether unshare takes it";
}
is_deeply [ sort grep { !/ without / && !$said{$_} } keys %refused, keys %croaks ], [], 'and all that is refused here is in the manual, at both flags';

# clone3's other fields
SKIP: {
    skip 'no clone3', 18 if !$has_clone3;
    for my $row (
        [ { flags => SIGCHLD },                        EINVAL, 'a signal in the flags' ],
        [ { exit_signal => 65 },                       EINVAL, 'an exit signal out of range' ],
        [ { exit_signal => 256 },                      EINVAL, 'one that is not in a byte' ],
        [ { cgroup => -1 },                            EINVAL, 'cgroup -1', '5.7' ],
        [ { cgroup => 0 },                             EBADF,  'cgroup: not one', '5.7' ],
        [ { cgroup => 1 << 20 },                       EBADF,  'cgroup: not open', '5.7' ],
        [ { set_tid => [$$] },                         $root ? EEXIST : EPERM, 'set_tid: used, or without privilege', '5.5' ],
        [ { set_tid => [0] },                          EINVAL, 'set_tid: reserved', '5.5' ],
        [ { set_tid => [1] },                          $root ? EINVAL : EPERM, 'set_tid: 1, where there is one', '5.5' ],
      )
    {
        my ($args, $errno, $text, $since) = @$row;
        skip "$text: since Linux $since", 2 if $since && !kernel_since($since);
        open STDIN, '<', '/dev/null' or die $!;
        my $before = state_of();
        my $pid = Linux::Clone::clone3(sub { 0 }, $args);
        # the kernel reads set_tid's rights and the init's id in an order that has changed
        my @errnos = $text =~ /set_tid: 1/ ? (EINVAL, EEXIST, EPERM) : $errno;
        ok $pid == -1 && (grep { $_ == $! } @errnos), "clone3: $text" or diag $pid == -1 ? "errno $!" : "pid $pid";
        is state_of(), $before, 'nothing is left behind';
    }
}

# ---- unshare: each flag that it does not take ----

for my $name (qw(VFORK PTRACE SETTLS PARENT_SETTID CHILD_SETTID CHILD_CLEARTID DETACHED UNTRACED IO PIDFD PARENT CLEAR_SIGHAND INTO_CGROUP)) {
    my $before = state_of();
    is Linux::Clone::unshare(bits($name)), -1, "unshare $name";
    is $! + 0, EINVAL, 'EINVAL';
    is state_of(), $before, 'nothing is left behind';
}
for my $name (qw(FILES FS SYSVSEM)) {
    is status(sub { Linux::Clone::unshare(bits($name)) == 0 ? 3 : 4 }), 'exit 3', "unshare $name is taken";
}
for my $name (qw(VM SIGHAND THREAD)) {
    is status(sub { Linux::Clone::unshare(bits($name)) == 0 ? 3 : 4 }), 'exit 3', "unshare $name, in a process of one thread, is taken";
}
SKIP: {
    my $flags = namespace_flags(Linux::Clone::NEWPID());
    needs($flags, 4);
    is result(sub {
        Linux::Clone::unshare($flags) == 0 or return "unshare: $!";
        return Linux::Clone::unshare(Linux::Clone::NEWPID()) == -1 ? $! + 0 : 'done';
    }), EINVAL, 'unshare NEWPID twice';
    is result(sub {
        Linux::Clone::unshare($flags) == 0 or return "unshare: $!";
        return Linux::Clone::clone(sub { 0 }, 0, bits('VM|VFORK|SIGHAND|THREAD')) == -1 ? $! + 0 : 'done';
    }), EINVAL, 'no thread can be started after unshare NEWPID';
    is result(sub {
        Linux::Clone::unshare($flags) == 0 or return "unshare: $!";
        my $init = fork // return "fork: $!";
        POSIX::_exit(0) if !$init;
        waitpid $init, 0;
        my $pid = fork;
        POSIX::_exit(0) if defined $pid && !$pid;
        return defined $pid ? "pid $pid" : $! + 0;
    }), ENOMEM, 'fork after the init of an unshared PID namespace has ended';
    is result(sub {
        Linux::Clone::unshare($flags) == 0 or return "unshare: $!";
        waitpid spawn(sub { 0 }), 0;
        return Linux::Clone::clone(sub { 0 }, 0, SIGCHLD) == -1 ? $! + 0 : 'done';
    }), ENOMEM, 'and clone';
}

SKIP: {
    skip 'this perl has no threads', 1 if !$Config{useithreads};
    my $flags = namespace_flags(Linux::Clone::NEWPID());
    needs($flags, 1);
    my ($output) = perl_output("use threads; use Linux::Clone; no warnings 'threads';
        Linux::Clone::unshare($flags) == 0 or die; print defined threads->create(sub { }) ? 'made' : \$! + 0");
    is $output, EINVAL, 'nor one of threads';
}

# ---- another exit signal than SIGCHLD ----

{
    local $SIG{USR1} = 'IGNORE';
    for my $signal (0, POSIX::SIGUSR1()) {
        pipe my $read, my $go or die "pipe: $!";
        my $pid = Linux::Clone::clone(sub { close $go; sysread $read, my $byte, 1; exec 'sh', '-c', 'exit 7' or return 1 }, 0, $signal);
        is waitpid($pid, 0), -1, "a child with exit signal $signal: waitpid does not find it";
        close $go;
        my $found = 0;
        # while it runs the first code waitpid answers at once
        for (1 .. 500) { $found = waitpid $pid, 0 and $found != -1 and last; select undef, undef, undef, 0.01 }
        is $found == $pid ? $? >> 8 : "found $found", 7, 'and does once it has called exec';
    }
}

# ---- clone3's control groups ----

SKIP: {
    skip 'no clone3', 4 if !$has_clone3;
    skip 'cgroup: since Linux 5.7', 4 if !kernel_since('5.7');
    my ($v2) = map { (split)[1] } grep { /^\S+ \S+ cgroup2 / } split /^/, slurp('/proc/self/mounts');
    skip 'there are no control groups of version 2', 4 if !defined $v2;
    my $group = "$v2/linux-clone-conformance-$$";
    mkdir $group or skip kernel_refuses('a control group'), 4;
    my $into = sub {
        my $pid = Linux::Clone::clone3(sub { 0 }, { cgroup => $_[0] });
        return $! + 0 if $pid == -1;
        waitpid $pid, 0;
        return 'ok';
    };
    mkdir "$group/$_" or die "$group/$_: $!" for qw(threaded domain);
    opendir my $domain, "$group/domain" or die "$group: $!";
    is $into->($domain), 'ok', 'a control group';
    SKIP: {
        open my $type, '>', "$group/threaded/cgroup.type" or skip kernel_refuses('the type of a control group'), 2;
        syswrite $type, 'threaded' or skip kernel_refuses('a threaded control group'), 2;
        is slurp("$group/domain/cgroup.type"), "domain invalid\n", 'beside a threaded one its type is domain invalid';
        is $into->($domain), EOPNOTSUPP, 'which takes no process';
    }
    rmdir "$group/$_" or diag "$group/$_: $!" for qw(threaded domain);
    is $into->($domain), ENOENT, 'one that has been removed';
    rmdir $group or diag "$group: $!";
}

done_testing;
