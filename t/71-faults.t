# Each way to start a child under each fault: the caller hears of it, has nothing changed, and goes
# on once the fault is gone. Signals are in 73-storms.t, children that are killed in 72-killed.t.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use CloneTest qw(kernel_refuses slurp status_field perl_output nr);
use FaultTest;
use File::Temp ();
use POSIX qw(:errno_h :sys_wait_h SIGCHLD);

plan skip_all => 'these tests know the numbers of system calls for x86-64 and aarch64 only' if !defined nr('prlimit64');

my $dir = File::Temp->newdir;

# ---- without a fault ----

# with a stack kept, and all modules loaded
my %well = map { $_ => start($_) } @starts;
# a kernel that has no pidfds or no user namespaces for us
my @usable = grep { $well{$_} =~ /^exit/ } @starts;
for my $name (@starts) {
    my $expected = $name =~ /exec/ ? 'exit 0' : 'exit 7';
    SKIP: {
        # (it knows the others since it knows threads)
        skip "the kernel refuses $name: $well{$name}", 1 if $name =~ /PIDFD|clone3|spawn/ && $well{$name} =~ /^errno \d+/;
        is $well{$name}, $expected, $name;
    }
}

# In a process of its own: all is well, then there is a fault, then all is well again. `fault`
# makes it and returns what ends it, or undef if it stays; or dies. `expected` are patterns for what
# each start ends in; a start that is not among them is as without the fault.
sub under {
    my ($what, $fault, $expected, @names) = @_;
    my @names_ = @names ? @names : @usable;
    my @lines = apart(sub {
        my $before = state();
        my $end = $fault->();
        my @lines = map { "$_: " . start($_) } @names_;
        $end->() if $end;
        push @lines, 'after it: ' . join ', ', state() eq $before ? 'nothing has changed' : ($before, state()),
            $end ? map { my $now = start($_); $now eq $well{$_} ? () : "$_: $now" } @names_ : ();
        return @lines;
    });
    if (@lines == 1 && $lines[0] =~ /^died: skip (.*)/) {
        SKIP: { skip "$what: $1", 1 }
        return;
    }
    my @expected = map { "$_: " . ($expected->{$_} // $well{$_}) } @names_;
    push @expected, 'after it: nothing has changed';
    my @wrong = grep { my $line = $lines[$_] // ''; ($expected[$_] // '') ne $line && $line !~ /^$expected[$_]\z/ } 0 .. ($#lines > $#expected ? $#lines : $#expected);
    is join("\n", map { "$lines[$_]\nin the place of $expected[$_]" } @wrong), '', $what;
    return;
}

# What makes a fault dies of, where the kernel does not let it.
sub refused { my ($what) = @_; die 'skip ' . kernel_refuses($what) . "\n" }

sub write_or_skip {
    my ($file, $text) = @_;
    sysopen my $fh, $file, POSIX::O_WRONLY() or refused($file);
    defined syswrite $fh, $text or refused($file);
    return;
}

sub spawn_refused { my ($errno, $step, $hint) = @_; local $! = $errno; return "errno $errno Linux::Clone::spawn: $step: $!" . (defined $hint ? " \\($hint\\)" : '') }

# The same answer for all of them.
sub all {
    my ($errno, $hint, %others) = @_;
    return { (map { $_ => /spawn/ ? spawn_refused($errno, 'clone', $hint) : "errno $errno" } @starts), %others };
}

# Those that spawn starts as copies: a program, too, whose maps the parent writes.
my $parent_writes = $> == 0;
my @copies = ('spawn code', 'spawn code, maps', $parent_writes ? 'spawn exec, maps' : ());
my @with_maps = grep { /maps/ } @starts;
my @old_call = grep { !/clone3/ } @starts;
my @clone3 = grep { /clone3/ } @starts;

# ---- a filter ----

my $filters = do { my ($line) = apart(sub { seccomp() ? 'yes' : 'errno ' . ($! + 0) }); $line };
SKIP: {
    skip "the kernel refuses filters: $filters", 1 if $filters ne 'yes';
    my $filtered = sub { my (@errors) = @_; return sub { seccomp(@errors) or die "seccomp: $!"; return } };
    for my $errno (EPERM, ENOSYS) {
        my $said = do { local $! = $errno; "$!" };
        my $user = $errno == EPERM ? 'NEWUSER: is the caller in a chroot, without a user or group id in its own user namespace, or under a filter\?' : 'a filter may forbid it';
        my $all = all($errno, 'a filter may forbid it', map { $_ => spawn_refused($errno, 'clone', $user) } @with_maps);
        under("a filter says '$said' to clone", $filtered->(clone => $errno), { map { $_ => $all->{$_} } @old_call });
        under("a filter says '$said' to clone3", $filtered->(clone3 => $errno), { map { $_ => $all->{$_} } @clone3 });
        under("a filter says '$said' to both", $filtered->(clone => $errno, clone3 => $errno), $all);
        under("a filter says '$said' to socketpair", $filtered->(socketpair => $errno), { map { $_ => spawn_refused($errno, 'the start') } @copies });
        # what spawn needs only to end a child
        under("a filter says '$said' to pidfd_send_signal and pidfd_open", $filtered->(pidfd_send_signal => $errno, pidfd_open => $errno), {});
    }

    # an emulator does not know PIDFD
    my $no_pidfd = sub { my (@more) = @_; return sub { FaultTest::refuse_flags(Linux::Clone::PIDFD(), EINVAL) or die "seccomp: $!"; seccomp(@more) or die "seccomp: $!" if @more; return } };
    under('PIDFD is refused: spawn does without', $no_pidfd->(), { 'clone PIDFD' => 'errno ' . EINVAL });
    for my $errno (ENOSYS, EPERM) {
        under("PIDFD is refused, and pidfd_open with errno $errno: nothing is started", $no_pidfd->(pidfd_open => $errno),
            { 'clone PIDFD' => 'errno ' . EINVAL, map { $_ => spawn_refused(EINVAL, 'clone', 'this kernel has no pidfds: Linux 5\.4 has') } grep { /spawn/ } @starts });
    }
    SKIP: {
        skip 'spawn is refused', 1 if $well{'spawn code'} !~ /^exit/;
        my @lines = apart(sub {
            $no_pidfd->()->();
            my @lines;
            my $child = Linux::Clone::spawn(exec => ['/no/such']);
            push @lines, $child ? 'a child' : $Linux::Clone::error;
            $child = Linux::Clone::spawn(code => sub { $SIG{TERM} = 'IGNORE'; sleep 60 }) or return $Linux::Clone::error;
            select undef, undef, undef, 0.1;
            push @lines, $child->wait(0) // 'runs';
            push @lines, $child->terminate('TERM', 0.2);
            $child->wait;
            return @lines, CloneTest::ended();
        });
        is_deeply \@lines, [ 'Linux::Clone::spawn: exec /no/such: No such file or directory', 'runs', 1, 'signal 9' ], 'and the object is as ever';
    }

    # what spawn can say with clone3 only
    my %clone3_only = (
        set_tid       => [ set_tid => [1], flags => Linux::Clone::NEWPID() | Linux::Clone::NEWUSER() ],
        CLEAR_SIGHAND => [ flags => Linux::Clone::CLEAR_SIGHAND() ],
    );
    for my $errno (EPERM, ENOSYS) {
        my @lines = apart(sub {
            my $before = state();
            seccomp(clone3 => $errno) or die $!;
            return (
                (map { my $child = Linux::Clone::spawn(exec => ['true'], @{ $clone3_only{$_} }); $child ? "$_ works" : ($! + 0) . " $Linux::Clone::error" } sort keys %clone3_only),
                state() eq $before ? 'same' : state());
        });
        local $! = $errno;
        my $why = $errno == EPERM ? 'a filter may forbid clone3' : 'this kernel, or a filter, has no clone3';
        my $user = $errno == EPERM ? 'NEWUSER: is the caller in a chroot, without a user or group id in its own user namespace, or under a filter?' : $why;
        is_deeply \@lines, [ "$errno Linux::Clone::spawn: clone: $! ($why)", "$errno Linux::Clone::spawn: clone: $! ($user)", 'same' ], "spawn that needs clone3 and hears $!";
    }

    # the functions
    my @calls = (
        [ unshare           => sub { Linux::Clone::unshare(Linux::Clone::FS()) } ],
        [ setns             => sub { Linux::Clone::setns(0, 0) } ],
        [ pidfd_open        => sub { Linux::Clone::pidfd_open($$) } ],
        [ pidfd_send_signal => sub { Linux::Clone::pidfd_send_signal(0, 0) } ],
        [ kcmp              => sub { Linux::Clone::kcmp($$, $$, 0) } ],
        [ pivot_root        => sub { Linux::Clone::pivot_root('/', '/') } ],
        [ ioctl             => sub { Linux::Clone::ns_get_parent(0) } ],
        [ waitid            => sub { my @list = Linux::Clone::waitid(Linux::Clone::P_ALL(), 0, Linux::Clone::WEXITED()); @list ? 'something' : -1 } ],
    );
    for my $errno (EPERM, ENOSYS) {
        my @lines = apart(sub {
            my $before = state();
            seccomp(map { $_->[0] => $errno } @calls) or die $!;
            my @lines = map { my ($name, $call) = @$_; local ($@, $?) = ('', 0); $! = 0; my $value = $call->(); "$name: $value $! $@$?" } @calls;
            return @lines, state() eq $before ? 'same' : state();
        });
        local $! = $errno;
        is_deeply \@lines, [ (map { "$_->[0]: -1 $! 0" } @calls), 'same' ], "each function: -1 and $!";
    }

    # those that spawn's child needs for its clocks
    my @clocks = (time_offsets => { monotonic => 1 }, $parent_writes ? () : (uid_map => 'root', gid_map => 'root'));
    my %work = (code => sub { 7 }, exec => ['true']);
    SKIP: {
        my ($works) = apart(sub { my $child = Linux::Clone::spawn(code => sub { 7 }, @clocks) or return $! + 0 . " $Linux::Clone::error"; $child->wait; CloneTest::ended() });
        skip "the kernel refuses clocks: $works", 4 if $works =~ /^\d+ /;
        is $works, 'exit 7', 'clocks';
        for my $name ('unshare', 'setns') {
            for my $errno (EPERM, ENOSYS) {
                my @lines = apart(sub {
                    my $before = state();
                    seccomp($name => $errno) or die $!;
                    return (
                        (map { my $child = Linux::Clone::spawn($_ => $work{$_}, @clocks); $child ? "$_ works" : ($! + 0) . " $Linux::Clone::error" } sort keys %work),
                        state() eq $before ? 'same' : state());
                });
                local $! = $errno;
                like join("\n", @lines), qr/^(?:$errno Linux::Clone::spawn: time_offsets: \Q$!\E(?: \(.*\))?\n){2}same$/, "spawn with clocks, and a filter says '$!' to $name";
            }
        }
    }
}

# A child that spawn has to end, since there is no object for it, is killed by its process id.
SKIP: {
    skip "the kernel refuses filters: $filters", 1 if $filters ne 'yes';
    skip 'spawn is refused', 1 if $well{'spawn code'} !~ /^exit/;
    my @lines = apart(sub {
        my $before = state();
        seccomp(pidfd_send_signal => EPERM, pidfd_open => EPERM) or die $!;
        no warnings 'redefine';
        local *Linux::Clone::Child::_new = sub { select undef, undef, undef, 0.05; die "no object\n" };
        alarm 20;
        eval { Linux::Clone::spawn(code => sub { sleep 60; 0 }) };
        chomp(my $error = $@);
        return $error, state() eq $before ? 'same' : state();
    });
    is_deeply \@lines, [ 'no object', 'same' ], 'without pidfd_send_signal a child that spawn has to end is killed by its id';
}

# Whatever dies when perl has the descriptor already (a signal handler, between two statements of
# _new): perl closes it, and what gets its number is not the child's.
SKIP: {
    skip 'spawn is refused', 1 if $well{'spawn code'} !~ /^exit/;
    my @lines = apart(sub {
        my $before = state();
        my $new = \&Linux::Clone::Child::_new;
        my ($pid, $number, @others);
        {
            no warnings 'redefine';
            local *Linux::Clone::Child::_new = sub {
                $pid = $_[0];
                my $child = $new->(@_);
                $number = fileno $child->pidfd;
                undef $child;
                do { push @others, POSIX::open('/dev/null') } while $others[-1] < $number;
                die "late\n";
            };
            alarm 20;
            eval { Linux::Clone::spawn(code => sub { sleep 60; 0 }) };
        }
        chomp(my $error = $@);
        my $lives = kill 0 => $pid;
        kill KILL => $pid and waitpid $pid, 0 if $lives;
        my @lost = grep { !POSIX::close($_) } @others;
        return $error, $lives ? 'the child lives' : 'no child', "lost @lost", state() eq $before ? 'same' : state();
    });
    is_deeply \@lines, [ 'late', 'no child', 'lost ', 'same' ], 'it dies when the object has the descriptor: no child is left, and nothing else is closed';
}

# ---- too many processes ----

my $too_many = all(EAGAIN, 'too many processes: RLIMIT_NPROC, or a limit of the cgroup');
under('RLIMIT_NPROC', sub {
    unprivileged();
    my $before = rlimit(NPROC => 1);
    return sub { rlimit(NPROC => $before) };
}, $too_many);

{
    # the mount of the controller, of version 1 or 2
    my ($pids) = map { [ (split)[1, 2] ] } grep { my ($type, $options) = (split)[2, 3]; $type eq 'cgroup' && $options =~ /\bpids\b/ } split /^/, slurp('/proc/self/mounts');
    ($pids) = map { [ (split)[1, 2] ] } grep { my ($where, $type) = (split)[1, 2]; $type eq 'cgroup2' && slurp("$where/cgroup.controllers") =~ /\bpids\b/ } split /^/, slurp('/proc/self/mounts') if !$pids;
    my $group;
    under('a limit of the control group', sub {
        die "skip no control groups with pids are mounted here\n" if !$pids;
        my ($mount, $type) = @$pids;
        $group = "$mount/linux-clone-$$";
        my ($own) = slurp('/proc/self/cgroup') =~ ($type eq 'cgroup' ? qr/^\d+:(?:\S+,)?pids(?:,[^:]+)?:(\S+)/m : qr/^0::(\S+)/m);
        write_or_skip("$mount/cgroup.subtree_control", '+pids') if $type eq 'cgroup2';
        mkdir $group or refused("mkdir $group");
        my $end = sub { eval { write_or_skip("$mount$own/cgroup.procs", $$) }; rmdir $group };
        # the process that started us has the rest to tidy up
        eval { write_or_skip("$group/pids.max", 1); write_or_skip("$group/cgroup.procs", $$); 1 } or do { my $error = $@; $end->(); die $error };
        return $end;
    }, $too_many);
}

# ---- too many namespaces ----

# In a user namespace of its own, whose limits are its own; by both kinds of maps.
sub no_user_namespaces {
    my $limit = '/proc/sys/user/max_user_namespaces';
    my ($uid, $gid) = ($>, (split ' ', $))[0]);
    Linux::Clone::unshare(Linux::Clone::NEWUSER()) == 0 or refused('NEWUSER');
    CloneTest::write_maps($uid, $gid);
    write_or_skip($limit, 0);
    return sub { write_or_skip($limit, 1000) };
}
under('the limit of user namespaces', \&no_user_namespaces,
    { map { $_ => spawn_refused(ENOSPC, 'clone', 'the sysctl user.max_user_namespaces is 0') } @with_maps });

{
    # the calls themselves
    my @calls = (
        [ 'unshare'         => sub { Linux::Clone::unshare(Linux::Clone::NEWUSER()) } ],
        [ 'clone'           => sub { Linux::Clone::clone(sub { 7 }, 0, SIGCHLD | Linux::Clone::NEWUSER()) } ],
        [ 'clone VM|VFORK'  => sub { Linux::Clone::clone(sub { 7 }, 0, SIGCHLD | Linux::Clone::NEWUSER() | Linux::Clone::VM() | Linux::Clone::VFORK()) } ],
        [ 'clone3'          => sub { Linux::Clone::clone3(sub { 7 }, { flags => Linux::Clone::NEWUSER() }) } ],
        [ 'clone3 VM|VFORK' => sub { Linux::Clone::clone3(sub { 7 }, { flags => Linux::Clone::NEWUSER() | Linux::Clone::VM() | Linux::Clone::VFORK() }) } ],
    );
    my @refused = $well{clone3} =~ /^exit/ ? () : qw(clone3);
    @calls = grep { my $name = $_->[0]; !grep { $name =~ /^$_/ } @refused } @calls;
    my @lines = apart(sub {
        no_user_namespaces();
        my $before = state();
        return (map { my ($name, $call) = @$_; $! = 0; "$name: " . $call->() . ' ' . ($! + 0) } @calls), state() eq $before ? 'same' : state();
    });
    SKIP: {
        skip $1, 1 if @lines == 1 && $lines[0] =~ /^died: skip (.*)/;
        is_deeply \@lines, [ (map { "$_->[0]: -1 " . ENOSPC } @calls), 'same' ], 'the limit of user namespaces: each call with NEWUSER';
    }
}

# ---- no memory ----

sub size { return 1024 * status_field('VmSize') }
my $limitless = $ENV{UNDER_SANITIZER} && 'AddressSanitizer has terabytes of address space';
SKIP: {
    skip $limitless, 1 if $limitless;
    # outside: no room for a stack
    my @large = (stack_size => 256 << 20);
    local %FaultTest::starts = (
        'clone'           => sub { Linux::Clone::clone(sub { 7 }, 256 << 20, SIGCHLD) },
        'clone VM|VFORK'  => sub { Linux::Clone::clone(sub { 7 }, 256 << 20, SIGCHLD | Linux::Clone::VM() | Linux::Clone::VFORK()) },
        'clone3'          => sub { Linux::Clone::clone3(sub { 7 }, {@large}) },
        'spawn code'      => sub { Linux::Clone::spawn(code => sub { 7 }, @large) },
        'spawn exec'      => sub { Linux::Clone::spawn(exec => [ ProcessTest::true() ], @large) },
    );
    my @names = grep { $well{$_} =~ /^exit/ } sort keys %FaultTest::starts;
    under('RLIMIT_AS: no room for a stack', sub {
        my $before = rlimit(AS => size() + (16 << 20));
        return sub { rlimit(AS => $before) };
    }, { map { $_ => /spawn code/ ? spawn_refused(ENOMEM, 'clone') : /spawn/ ? spawn_refused(ENOMEM, 'the start') : 'errno ' . ENOMEM } @names }, @names);
}
SKIP: {
    skip $limitless, 1 if $limitless;
    # one that is kept needs none
    under('RLIMIT_AS: the stack is kept', sub { my $before = rlimit(AS => size()); return sub { rlimit(AS => $before) } }, {}, 'clone VM|VFORK', grep { $well{$_} =~ /^exit/ } 'spawn exec');
}
SKIP: {
    skip $limitless, 2 if $limitless;
    # inside: perl ends a process that runs out of memory, and it is the child alone
    local *STDERR;
    open STDERR, '>', "$dir/stderr" or die $!;
    my $bytes = 1 << 30;    # no constant, of which perl would make the string at once
    my $greedy = sub { my $much = 'x' x $bytes; 0 };
    local %FaultTest::starts = (
        'clone'           => sub { Linux::Clone::clone($greedy, 0, SIGCHLD) },
        'clone VM|VFORK'  => sub { Linux::Clone::clone($greedy, 0, SIGCHLD | Linux::Clone::VM() | Linux::Clone::VFORK()) },
        'clone3'          => sub { Linux::Clone::clone3($greedy, {}) },
        'spawn code'      => sub { Linux::Clone::spawn(code => $greedy) },
    );
    my @names = grep { $well{$_} =~ /^exit/ } sort keys %FaultTest::starts;
    my @lines = apart(sub {
        Linux::Clone::spawn(code => sub { 0 });
        wait;
        my $before = state();
        rlimit(AS => size() + (64 << 20));
        return (map { "$_: " . start($_) } @names), state() eq $before ? 'same' : state();
    });
    is_deeply \@lines, [ (map { "$_: exit 1" } @names), 'same' ], 'a child that runs out of memory exits with 1, as perl does, and its parent goes on';
    is slurp("$dir/stderr") =~ s/\n?Out of memory!\n?/./gr =~ s/Out of memory in perl:\S+\n?/./gr, '.' x @names, 'perl says so';
}
SKIP: {
    skip 'spawn is refused', 3 if $well{'spawn exec'} !~ /^exit/;
    skip $limitless, 3 if $limitless;
    # Strings that the caller makes large are copied, by perl and by us. perl exits if it cannot do
    # that, as for any other copy; what we do is an exception.
    my %said;
    my @cases = ([ exec => ['LARGE'] ], [ exec => ['true'], cwd => 'LARGE' ], [ exec => ['true'], env => { A => 'LARGE' } ]);
    for my $n (0 .. $#cases) {
        for my $copies (0 .. 5) {
            my ($said) = join ', ', apart(sub {
                open STDERR, '>', '/dev/null';
                my $large = 'x' x (16 << 20);
                my @options = map { ref eq 'ARRAY' ? [ map { $_ eq 'LARGE' ? $large : $_ } @$_ ] : ref eq 'HASH' ? { A => $large } : $_ eq 'LARGE' ? $large : $_ } @{ $cases[$n] };
                my $before = state();
                my $limit = rlimit(AS => size() + (8 << 20) + $copies * (16 << 20));
                my $child = eval { Linux::Clone::spawn(@options) };
                my $said = $child ? 'a child' : $@ || 'errno ' . ($! + 0);
                rlimit(AS => $limit);
                return $said =~ s/ at .+ line .*//sr, state() eq $before ? () : state();
            });
            push @{ $said{$said} }, "case $n, $copies";
        }
    }
    my $e2big = 'errno ' . E2BIG;
    my @expected = ('Out of memory for a string of 16777216 bytes', 'it ended with exit 1', $e2big, 'errno ' . ENAMETOOLONG);
    my %unexpected = %said;
    delete @unexpected{@expected};
    is_deeply { map { $_ => "@{ $unexpected{$_} }" } keys %unexpected }, {}, 'a string for which there is no memory does not abort the process';
    ok $said{$_}, "it is said: $_" for @expected[ 0, 2 ];
}

# ---- no descriptors ----

{
    # how many each needs; a child that writes its maps itself, two more for the files
    my %needed = ('clone PIDFD' => 1, 'spawn exec' => 1, 'spawn code' => 3, 'spawn code, maps' => 3, 'spawn exec, maps' => $parent_writes ? 3 : 2);
    my @wrong;
    my $n = 0;
    for my $closed ([], [ 0, 1, 2 ]) {
        for my $free (0 .. 4) {
            my @names = grep { $free == 0 || $needed{$_} } @usable;
            my @lines = apart(sub {
                open my $mark, '>>', "$dir/mark" or die $!;
                POSIX::close($_) for @$closed;
                my @busy;
                while (defined(my $fd = POSIX::open('/dev/null'))) {
                    push @busy, $fd;
                    last if $fd > 40;
                }
                POSIX::close($_) for grep { $_ < 3 } @busy;
                my $before = state();
                return map {
                    my $limit = rlimit(NOFILE => 1 + $busy[-1] + $free);
                    my $said = start($_);
                    rlimit(NOFILE => $limit);
                    my $after = state();
                    "$_: $said" . ($after eq $before ? '' : ", $before, now $after");
                } @names;
            });
            for my $line (@lines) {
                $n++;
                my ($name, $said) = $line =~ /^(.*?): (.*)/ or push(@wrong, $line), next;
                # Standard descriptors are of no use to spawn but for files that it closes again; a
                # pidfd of clone's may be one.
                my $any = $name eq 'clone PIDFD' || $name eq 'spawn exec, maps' && !$parent_writes && $free;
                # the parent has the directory and the file of a map open at once
                my $files = $name =~ /maps/ && $parent_writes && !@$closed ? 1 : 0;
                my $enough = $free + ($any ? @$closed : 0) >= ($needed{$name} // 0) + $files;
                my $expected = $enough ? $well{$name} : $name =~ /spawn/ ? qr/errno 24 Linux::Clone::spawn: (?:the start|clone|uid_map): Too many open files/ : qr/errno 24/;
                push @wrong, "@$closed closed, $free free: $line" if $said !~ /^$expected\z/;
            }
        }
    }
    is join("\n", @wrong), '', "$n calls with 0 to 4 descriptors left";
}
SKIP: {
    skip 'spawn is refused', 4 if $well{'spawn exec'} !~ /^exit/;
    # the program must not have run: once it does there is no way back
    my @lines = apart(sub {
        POSIX::close(0);
        my @busy;
        while (defined(my $fd = POSIX::open('/dev/null'))) { push @busy, $fd; last if $fd > 40 }
        POSIX::close(0);
        my $limit = rlimit(NOFILE => 1 + $busy[-1]);
        # it says so if there was a child, though it is killed before it has done anything
        my $ended = 0;
        $SIG{CHLD} = sub { $ended++ };
        my $child = Linux::Clone::spawn(exec => [ ProcessTest::true() ]);
        my $errno = $! + 0;
        rlimit(NOFILE => $limit);
        return $child ? 'a child' : "errno $errno", $ended;
    });
    is_deeply \@lines, [ 'errno ' . EMFILE, 0 ], 'no descriptor for the pidfd: nothing has been started';
    for my $free (0 .. 2) {
        my $limit = rlimit(NOFILE => 60);
        my ($output) = perl_output(<<'END', $free);
            use Linux::Clone; use POSIX ();
            my @busy;
            while (defined(my $fd = POSIX::open('/dev/null'))) { push @busy, $fd }
            POSIX::close(pop @busy) for 1 .. $ARGV[0];
            for (1, 2) {
                my $child = eval { Linux::Clone::spawn(exec => ['/bin/true']) };
                print $child ? eval { $child->wait == $child->pid } ? "works\n" : "no: $@" : $@ || $! + 0 . " $Linux::Clone::error\n";
                POSIX::close($_) for splice @busy;
            }
END
        rlimit(NOFILE => $limit);
        is $output, ($free ? 'works' : '24 Linux::Clone::spawn: clone: Too many open files') . "\nworks\n", "the first that a program starts, with $free descriptors left";
    }
}

{
    # the functions that open something
    my $has = sub { my ($fd) = @_; return $fd == -1 ? 0 : POSIX::close($fd) };
    open my $ns, '<', '/proc/self/ns/net' or die "/proc/self/ns/net: $!";
    my $pidfd = 'unset';
    my @calls = (
        [ 'pidfd_open'         => sub { Linux::Clone::pidfd_open($$) } ],
        [ 'ns_get_userns'      => sub { Linux::Clone::ns_get_userns($ns) } ],
        [ 'siocsifflags'       => sub { Linux::Clone::siocsifflags('lo', 1) } ],
        [ 'configure_loopback' => sub { eval { Linux::Clone::configure_loopback() } // -1 } ],
        [ 'clone3, pidfd'      => sub { Linux::Clone::clone3(sub { 7 }, { pidfd => \$pidfd }) } ],
        [ 'clone3 VM|VFORK, pidfd' => sub { Linux::Clone::clone3(sub { 7 }, { flags => Linux::Clone::VM() | Linux::Clone::VFORK(), pidfd => \$pidfd }) } ],
    );
    # what this kernel, or this user, is refused anyway
    my %ok = (
        pidfd_open => $has->(Linux::Clone::pidfd_open($$)), ns_get_userns => $has->(Linux::Clone::ns_get_userns($ns)),
        siocsifflags => 1, configure_loopback => 1, map { $_ => $well{clone3} =~ /^exit/ } 'clone3, pidfd', 'clone3 VM|VFORK, pidfd',
    );
    @calls = grep { $ok{ $_->[0] } } @calls;
    my @lines = apart(sub {
        my @busy;
        while (defined(my $fd = POSIX::open('/dev/null'))) { push @busy, $fd; last if $fd > 40 }
        my $before = state();
        my $limit = rlimit(NOFILE => 1 + $busy[-1]);
        my @lines = map { my ($name, $call) = @$_; $! = 0; "$name: " . $call->() . ' ' . ($! + 0) } @calls;
        rlimit(NOFILE => $limit);
        return @lines, $pidfd, state() eq $before ? 'same' : state();
    });
    is_deeply \@lines, [ (map { "$_->[0]: -1 " . EMFILE } @calls), 'unset', 'same' ], 'no descriptor left: each function that opens one';
}

# ---- a full disk ----

SKIP: {
    my $program = <<'END';
        use strict; use warnings; use Linux::Clone; use POSIX (); use IO::Handle ();
        my ($how, $what) = @ARGV;
        my $code = sub { print 'child' if $what =~ /print/; STDOUT->flush if $what =~ /flush/; exit 3 if $what =~ /exit/; return 0 };
        print 'parent';
        $! = 5;
        my $pid;
        if ($how eq 'fork') { $pid = fork // die; exit $code->() if !$pid; $! = 5 }
        elsif ($how eq 'spawn') { my $child = Linux::Clone::spawn(code => $code) or die $Linux::Clone::error; $pid = $child->pid }
        else { $pid = Linux::Clone::clone($code, 0, POSIX::SIGCHLD() | ($how eq 'vfork' ? Linux::Clone::VM() | Linux::Clone::VFORK() : 0)) }
        my $errno = $! + 0;
        waitpid $pid, 0;
        my $error = STDOUT->error ? 'error' : 'no error';
        print STDERR "status $?, errno $errno, $error, close: ", close(STDOUT) ? 'true' : $! + 0, "\n";
END
    skip 'there is no /dev/full', 12 if !-c '/dev/full';
    my $run = sub {
        my ($how, $what, $stdout) = @_;
        my $pid = fork // die $!;
        if (!$pid) {
            open STDERR, '>', "$dir/said" or die;
            # by its number: perl opens STDOUT anew
            my $fd = POSIX::open($stdout, POSIX::O_WRONLY()) // die;
            POSIX::dup2($fd, 1);
            { exec $^X, (map { "-I$_" } @INC), '-e', $program, $how, $what }
            POSIX::_exit(99);
        }
        waitpid $pid, 0;
        # perl 5.26 ends that line nowhere
        return "$? " . slurp("$dir/said") =~ s/(?<=flush stdout: No space left on device)(?=status)/\n/r;
    };
    for my $what ('nothing', 'print', 'print, exit', 'print, flush') {
        my $fork = $run->('fork', $what, '/dev/full');
        # a child that returns has 255 in the place of perl's 1: THE CHILD, "Output"
        $fork =~ s/status 256,/status 65280,/;
        like $fork, qr/errno 5, error, close: 28/, "fork with a full disk: $what" if $what eq 'nothing';
        for my $how (qw(clone vfork), $well{'spawn code'} =~ /^exit/ ? 'spawn' : ()) {
            my $expected = $fork;
            # an old perl's exit does not look whether STDOUT could be written; whoever returns, or has no exit of perl's, does
            if ($fork =~ /\A0 status/ && ($what eq 'print' || $what eq 'print, exit' && $how eq 'vfork')) {
                $expected =~ s/status 0,/status 65280,/;
                $expected =~ s/status/Unable to flush stdout: No space left on device\nstatus/;
            }
            is $run->($how, $what, '/dev/full'), $expected, "$how with a full disk, as fork: $what";
        }
    }
}

# ---- a pipe that nobody reads ----

{
    my $program = <<'END';
        use strict; use warnings; use Linux::Clone; use POSIX ();
        my ($how, $handled, $mark) = @ARGV;
        pipe my $read, my $write or die;
        open STDOUT, '>&', $write or die;
        close $read; close $write;
        $SIG{PIPE} = $handled eq 'IGNORE' ? 'IGNORE' : sub { syswrite STDERR, "PIPE in " . ($$ == $main::parent ? 'parent' : 'child') . "\n" } if $handled;
        our $parent = $$;
        my $code = sub { open my $fh, '>', $mark or die; print 'child'; return 0 };
        print 'parent';
        my $pid;
        if ($how eq 'fork') { $pid = fork // die; if (!$pid) { $code->(); exit 0 } }
        elsif ($how eq 'spawn') { my $child = Linux::Clone::spawn(code => $code) or die $Linux::Clone::error; $pid = $child->pid }
        else { $pid = Linux::Clone::clone($code, 0, POSIX::SIGCHLD() | ($how eq 'vfork' ? Linux::Clone::VM() | Linux::Clone::VFORK() : 0)) }
        waitpid $pid, 0;
        print STDERR "status $?\n";
        $SIG{PIPE} = 'IGNORE';
        close STDOUT;
END
    for my $handled ('', 1, 'IGNORE') {
        my $fork;
        for my $how (qw(fork clone vfork), $well{'spawn code'} =~ /^exit/ ? 'spawn' : ()) {
            unlink "$dir/born";
            my ($output, $status) = perl_output($program, $how, $handled, "$dir/born");
            my $said = "$output$status, " . (-e "$dir/born" ? 'a child' : 'no child');
            # perl's exit status for what could not be written, and what may come in any order
            $said =~ s/status 256\n/status 65280\n/;
            $said =~ s/Unable to flush stdout: Broken pipe\n?/*/;
            $said = '*' . $said =~ s/\*//r if $said =~ /\*/;
            if ($how eq 'fork') {
                $fork = $said;
                is $said, '13, no child', 'fork flushes first: SIGPIPE' if !$handled;
                next;
            }
            my $expected = $fork;
            # as above
            $expected =~ s/\Astatus 0\n/*status 65280\n/;
            # perl's exit gives up the handlers before it flushes, so that the forked child is killed
            $expected = "*PIPE in parent\nstatus 65280\n0, a child" if $handled eq '1';
            # what shares memory has no handlers
            $expected = "*PIPE in parent\nstatus 13\n0, a child" if $handled eq '1' && $how eq 'vfork';
            is $said, $expected, "$how writes to nobody, SIGPIPE " . ($handled eq 'IGNORE' ? 'is ignored' : $handled ? 'has a handler' : 'is as it was');
        }
    }
}

# ---- SIGCHLD is ignored ----

{
    # The kernel reaps: wait says ECHILD when there are no children any more.
    my @lines = apart(sub {
        $SIG{CHLD} = 'IGNORE';
        my $before = state();
        my @lines;
        for my $name (@usable) {
            my $child = $FaultTest::starts{$name}->();
            push @lines, "$name: refused $!" if !defined $child || !ref $child && $child == -1;
            if (ref $child) {
                my $pid = $child->wait;
                # Linux 6.15 remembers the status
                my $said = $pid == -1 ? "errno @{[ $! + 0 ]}" : $? == 0 || $? == 7 << 8 ? 'its status' : "status $?";
                my $again = $child->wait;
                push @lines, "$name: $said, again: " . ($again == $pid ? 'the same' : $again) . ', running: ' . ($child->running ? 'yes' : 'no');
            }
            else { push @lines, "$name: " . waitpid($child, 0) . ' errno ' . ($! + 0) }
        }
        my $pidfd;
        my $pid = Linux::Clone::clone3(sub { 7 }, { pidfd => \$pidfd });
        if ($pid != -1) {
            my @found = Linux::Clone::waitid(Linux::Clone::P_PIDFD(), $pidfd, Linux::Clone::WEXITED());
            push @lines, 'waitid: ' . (@found ? "@found" : 'errno ' . ($! + 0));
            POSIX::close($pidfd);
        }
        return @lines, state() eq $before ? 'same' : state();
    });
    my $echild = ECHILD;
    is pop @lines, 'same', 'SIGCHLD ignored: nothing is left';
    is join("\n", grep { !/^(?:clone.*: -1 errno $echild|spawn .*: (?:errno $echild|its status), again: the same, running: no|waitid: errno $echild)\z/ } @lines), '', 'no child can be waited for, and each has ended when that is said';
    # a step that is refused: the child is gone
    my @refused = apart(sub {
        $SIG{CHLD} = 'IGNORE';
        my $before = state();
        my @lines = map { my $child = Linux::Clone::spawn(@$_); $child ? 'a child' : $! + 0 } [ exec => ['/no/such'] ], [ exec => ['/no/such'], uid_map => 'root', gid_map => 'root' ], [ exec => ['true'], cwd => '/no/such' ];
        return "@lines", state() eq $before ? 'same' : state();
    });
    SKIP: {
        skip 'spawn or its maps are refused', 1 if $well{'spawn exec, maps'} !~ /^exit/;
        is_deeply \@refused, [ '2 2 2', 'same' ], 'what is refused is refused as ever';
    }
}

is wait, -1, 'no child is left';
done_testing;
