package Random::Program;

# One random program: the main process, its steps, and what must be true after each of them.

use strict;
use warnings;

use Config ();
use Errno ();
use Fcntl ();
use File::Temp ();
use IO::Handle ();
use Linux::Clone ();
use POSIX ();
use ProcessTest qw(slurp mappings stacks process_ids process_stat);
use Random::Model;
use Random::Plan;
use Random::Prng;
use Time::HiRes ();

my ($model, $out_file, $err_file, $log_file, $trace_fd, $stacks, $maps);

# children of perl's and of ours that nobody has waited for yet, in the order of their start:
# pid, state (lives or ended), end, sig, model, leash
my @children;

# no lexical of run, which would be closed before END blocks and objects write to it
our ($log, $trace, $report);

my $threads = $Config::Config{useithreads};

# ---- the start ----

# Runs a program of so many steps; $directory is its own. True if all went well.
sub run {
    my ($seed, $steps, $directory) = @_;
    if ($threads) {
        require threads;
        threads->import;
    }
    seed($seed);
    $Random::Plan::base = $directory;
    for ('a', 'b', 'c') { mkdir "$directory/$_" or die "$directory/$_: $!" }
    chdir $directory or die "$directory: $!";

    ($out_file, $err_file, $log_file) = map { "$directory/$_" } qw(out err log);
    my $append = Fcntl::O_RDWR() | Fcntl::O_CREAT() | Fcntl::O_APPEND();
    sysopen OUT, $out_file, $append, 0666 or die "$out_file: $!";
    open STDERR, '>>', $err_file or die "$err_file: $!";
    sysopen $log, $log_file, $append, 0666 or die "$log_file: $!";
    $Random::Plan::log = fileno $log;
    sysopen $trace, "$directory/trace", $append, 0666 or die "trace: $!";
    sysopen $report, "$directory/complaints", $append, 0666 or die "complaints: $!";
    $Random::Model::report = fileno $report;
    pipe $Random::Plan::note_read, $Random::Plan::note_write or die "pipe: $!";

    Random::Plan::ask_kernel();
    %G = (map { ("x$_" => 0) } 0 .. 3);
    for my $name (qw(CHLD USR1 USR2)) { $SIG{$name} = counter($name) }
    $model = new_model();
    $model->{sig}{$_} = 'count' for qw(CHLD USR1 USR2);
    $model->{handlers} = 1;
    our $root = Random::Object->new('root');
    $model->{objs} = ['root'];
    $model->{mem}{buf} = '';
    reap(start_one(), 'exit 0');    # the first child leaves its stack
    $model->{mem}{n_CHLD}++;
    ($stacks, $maps) = (stacks(), scalar mappings());
    complain("$stacks stacks are kept, not 1") if $stacks != 1;

    NOWHERE: for my $n (1 .. $steps) {
        @trace = ("step $n");
        (@out_text, @log_text, @err_text) = ();
        $budget = 14;
        my $code = step();
        syswrite $trace, join("\n", @trace) . "\n";
        eval { $code->(); 1 } or complain("step $n dies: $@");
        verify($n) or return 0;
    }
    # what is left
    @trace = ('the end');
    (@out_text, @log_text, @err_text) = ();
    syswrite $trace, "the end\n";
    for my $child (@children) {
        end_child($child, 'KILL') if $child->{state} eq 'lives';
        reap($child->{pid}, $child->{end}) if $child->{state} ne 'gone';
    }
    @children = ();
    verify('end') or return 0;
    my $pid = waitpid -1, Linux::Clone::__WALL();
    complain("there is a child $pid") if $pid != -1;
    return !complaints();
}

sub complaints { return -s $report }

sub start_one {
    my $pid = Linux::Clone::clone(sub { return 0 }, 0, POSIX::SIGCHLD());
    die "clone: $!" if $pid == -1;
    return $pid;
}

# ---- what must be true after each step ----

sub verify {
    my ($n) = @_;
    # perl's handlers have run by now
    my $different = differences(expected($model));
    complain($different) if $different ne '';
    check_memory($model->{mem});

    # descriptors that children with FILES have left
    for my $fd (@{ $model->{files}{extra} }) {
        POSIX::close($fd);
        delete $model->{files}{fds}{$fd};
    }
    $model->{files}{extra} = [];

    # its children, and whether they live
    my %is = children();
    my %should = map { ($_->{pid} => $_->{state}) } grep { $_->{state} ne 'gone' } @children;
    for my $pid (sort { $a <=> $b } keys %{ { %is, %should } }) {
        my ($is, $should) = map { $_ // 'none' } $is{$pid}, $should{$pid};
        complain("child $pid: $is, not $should") if $is ne $should;
    }
    @children = grep { $_->{state} ne 'gone' } @children;

    # what was written, each thing once
    OUT->flush;
    my $text = join('', @out_text) . $model->{mem}{buf};
    $model->{mem}{buf} = '';
    my $got = slurp($out_file);
    complain("the output is '$got', not '$text'") if $got ne $text;
    my $log = join ' ', sort split ' ', slurp($log_file);
    my $log_text = join ' ', sort @log_text;
    complain("the log is '$log', not '$log_text'") if $log ne $log_text;
    my $errors = slurp($err_file);
    my $pattern = join '', @err_text;
    complain("STDERR has '$errors', not /$pattern/") if $errors !~ /\A$pattern\z/;
    truncate $_, 0 for $out_file, $log_file, $err_file;

    my ($stacks_now, $maps_now) = (stacks(), scalar mappings());
    complain("$stacks_now stacks, not $stacks") if $stacks_now != $stacks;
    # malloc takes some for itself
    complain("$maps_now mappings, not about $maps") if $maps_now > $maps + 12;
    # any process
    return !complaints();
}

# pid => lives or ended
sub children {
    my %children;
    my $list = eval { slurp("/proc/self/task/$$/children") };
    for my $pid (defined $list ? split ' ', $list : process_ids()) {
        my ($state, $parent) = process_stat($pid);
        $children{$pid} = $state eq 'Z' ? 'ended' : 'lives' if defined $state && $parent == $$;
    }
    return %children;
}

# ---- steps ----

my %steps;

sub step {
    my $name = weighted(
        block    => 60,
        start    => @children < 6 ? 9 : 2,
        finish   => 8,
        wait     => 7,
        stop     => 2,
        interrupt => 2,
        handler  => 4,
        mask     => 2,
        files    => 2,
        unshare  => 2,
        join     => 3,
        spawn    => 8,
        timer    => 4,
        thread   => 2,
        call     => 3,
    );
    trace($model, "$name:");
    return $steps{$name}->() // do { trace($model, 'nothing'); sub { } };
}

sub living { return grep { $_->{state} eq 'lives' } @children }

$steps{block} = sub {
    my ($code, $end) = block($model, 1 + below(4));
    die 'the main program ends' if $end;
    return $code;
};

# A child that lives until it is told, of fork or of clone.
$steps{start} = sub {
    my $signal = pick(qw(CHLD CHLD CHLD USR1 URG 0));
    my $by = pick('fork', 'clone', 'clone');
    $signal = 'CHLD' if $by eq 'fork';
    my $flags = $by eq 'fork' ? {} : chance(40) ? some_namespaces($model) : {};
    $flags = {} if no_namespaces($model, $flags);
    $flags->{FILES} = 1 if $by eq 'clone' && chance(10);
    return if $signal ne '0' && (deadly($model, $signal) || $model->{mask}{ $NUMBER{$signal} });
    my ($n, $how) = (below(256), pick(qw(return exit _exit)));
    $how = '_exit' if $by eq 'fork';
    # perl would warn of handles that the parent has closed meanwhile
    $how = 'return' if $flags->{FILES} && $how eq 'exit';
    my $child = child_of($model, 'copy', $flags);
    trace($model, "$by " . names($flags) . ", exit signal $signal, which will $how $n");
    push @out_text, $model->{mem}{buf};
    $model->{mem}{buf} = '';
    my %entry = (state => 'lives', end => "exit $n", sig => $signal, model => $child, how => $how);
    push @children, \%entry;
    return sub {
        pipe my $read, my $write or die "pipe: $!";
        my $live = sub {
            # interrupted where a signal has a handler
            1 while !defined sysread $read, my $byte, 1;
            exit $n if $how eq 'exit';
            POSIX::_exit($n) if $how eq '_exit';
            return $n;
        };
        my $bits = bits($flags) | ($signal eq '0' ? 0 : $NUMBER{$signal});
        $entry{pid} = $by eq 'fork' ? fork : Linux::Clone::clone($live, 0, $bits);
        die "$by: $!" if !defined $entry{pid} || $entry{pid} == -1;
        if (!$entry{pid}) {
            $live->();
            POSIX::_exit(254);
        }
        @entry{qw(leash read)} = ($write, $read);
        # the read end stays, since a child with FILES has no other
        $model->{files}{fds}{ fileno $_ } = readlink '/proc/self/fd/' . fileno $_ for $read, $write;
        return;
    };
};

# A living child comes to its end, by itself or by a signal. The caller may get its exit signal.
sub end_child {
    my ($child, $signal) = @_;
    my $before = $model->{sig}{CHLD};
    if (defined $signal) {
        kill $signal => $child->{pid} or complain("kill $child->{pid}: $!");
        $child->{end} = "signal $NUMBER{$signal}";
    }
    else {
        syswrite $child->{leash}, "x\n";    # a shell reads a line
    }
    my @found = Linux::Clone::waitid(Linux::Clone::P_PID(), $child->{pid},
        Linux::Clone::WEXITED() | Linux::Clone::WNOWAIT() | Linux::Clone::__WALL());
    my $gone = reaped_by_kernel($model, $child->{sig});
    if ($gone) {
        complain("waitid finds @found, $!") if @found || $! != Errno::ECHILD;
    }
    else {
        my $end = @found ? ($found[2] == Linux::Clone::CLD_EXITED() ? 'exit ' : 'signal ') . $found[3] : "refused: $!";
        complain("child $child->{pid} ends by $end, not $child->{end}") if $end ne $child->{end} || $found[0] != $child->{pid};
    }
    $child->{state} = $gone ? 'gone' : 'ended';
    for my $fh (@$child{qw(leash read)}) {
        delete $model->{files}{fds}{ fileno $fh };
        close $fh;
    }
    delete @$child{qw(leash read)};
    deliver($model, $child->{sig}) if $child->{sig} ne '0';
    if (!defined $signal && $child->{how} eq 'exit') { push @log_text, 'END', 'root' }
    return;
}

$steps{finish} = sub {
    my @living = living() or return;
    my $child = pick(@living);
    my $signal = pick(undef, undef, 'KILL', 'TERM');
    $signal = 'KILL' if defined $signal && ($child->{model}{pid1} || !deadly($child->{model}, $signal) || $child->{model}{mask}{ $NUMBER{$signal} });
    trace($model, "child $child->{pid} ends by " . ($signal // 'itself'));
    return sub { end_child($child, $signal); return };
};

# Waits for children that have ended, or asks without waiting.
$steps{wait} = sub {
    return if !@children;
    my $child = pick(@children);
    my $lives = $child->{state} eq 'lives';
    my $how = pick(qw(pid wall any clone peek));
    $how = 'wall' if $how eq 'pid' && ($child->{sig} ne 'CHLD');
    trace($model, "wait $how for $child->{pid}, which " . ($lives ? 'lives' : 'has ended'));
    my $options = POSIX::WNOHANG();
    if ($how eq 'any' || $how eq 'clone') {
        # whichever it finds of those that there are
        my %kinds = (any => sub { return $_[0]{sig} eq 'CHLD' }, clone => sub { return $_[0]{sig} ne 'CHLD' });
        my @all = grep { $kinds{$how}->($_) } @children;
        my %ended = map { ($_->{pid} => $_) } grep { $_->{state} eq 'ended' } @all;
        $options |= Linux::Clone::__WCLONE() if $how eq 'clone';
        return sub {
            my $got = waitpid -1, $options;
            if (%ended) {
                my $found = $ended{$got} or return complain("waitpid -1 gives $got, not one of @{[keys %ended]}");
                complain("child $got ends by " . ended() . ", not $found->{end}") if ended() ne $found->{end};
                $found->{state} = 'gone';
            }
            else {
                my $should = @all ? 0 : -1;
                complain("waitpid -1 gives $got, not $should") if $got != $should;
            }
            return;
        };
    }
    if ($how eq 'peek') {
        return sub {
            my @found = Linux::Clone::waitid(Linux::Clone::P_PID(), $child->{pid},
                Linux::Clone::WEXITED() | Linux::Clone::WNOHANG() | Linux::Clone::WNOWAIT() | Linux::Clone::__WALL());
            my $should = $lives ? 0 : $child->{pid};
            complain("waitid tells @found, not of $should") if @found != 4 || $found[0] != $should;
            return;
        };
    }
    $options |= Linux::Clone::__WALL() if $how eq 'wall';
    $child->{state} = 'gone' if !$lives;
    return sub {
        my $got = waitpid $child->{pid}, $options;
        my $should = $lives ? 0 : $child->{pid};
        complain("waitpid gives $got, not $should") if $got != $should;
        complain("child $got ends by " . ended() . ", not $child->{end}") if !$lives && ended() ne $child->{end};
        return;
    };
};

# Stopped and continued, which waitid tells.
$steps{stop} = sub {
    my @living = grep { !$_->{model}{pid1} } living() or return;
    return if $model->{mask}{ $NUMBER{CHLD} };
    my $child = pick(@living);
    trace($model, "stop $child->{pid}, and continue");
    return sub {
        my ($counts, $told) = ($model->{sig}{CHLD} eq 'count', 0);
        # later, another step may have changed the handler
        local $SIG{CHLD} = sub { $told++ } if !$counts;
        for ([ STOP => Linux::Clone::WSTOPPED(), Linux::Clone::CLD_STOPPED() ],
            [ CONT => Linux::Clone::WCONTINUED(), Linux::Clone::CLD_CONTINUED() ]) {
            my ($signal, $option, $code) = @$_;
            kill $signal => $child->{pid};
            my @found = Linux::Clone::waitid(Linux::Clone::P_PID(), $child->{pid}, $option | Linux::Clone::__WALL());
            complain("waitid tells @found of $signal") if @found != 4 || $found[0] != $child->{pid} || $found[2] != $code;
            deliver($model, 'CHLD') if $counts;
            # that it goes on is told by itself, in its own time
            my $n = 0;
            Time::HiRes::sleep(0.001) while ($counts ? $G{n_CHLD} < $model->{mem}{n_CHLD} : $told < 1) && $n++ < 10_000;
            $told = 0;
        }
        return;
    };
};

# A handler that dies while the caller waits for a child that lives.
$steps{interrupt} = sub {
    my @living = living() or return;
    my $child = pick(@living);
    my $usec = 500 + below(3000);
    my $how = pick(qw(waitpid waitid clone));
    trace($model, "$how for $child->{pid} is interrupted after $usec us");
    return sub {
        my $rounds = 0;
        local $SIG{ALRM} = sub { die "alarm\n" };
        my $done = eval {
            # one that comes before the call sleeps does not wake it
            Time::HiRes::ualarm($usec, 20_000);
            waitpid $child->{pid}, Linux::Clone::__WALL() if $how ne 'waitid';
            Linux::Clone::waitid(Linux::Clone::P_PID(), $child->{pid}, Linux::Clone::WEXITED() | Linux::Clone::__WALL()) if $how eq 'waitid';
            1;
        };
        my $error = $@;
        eval { Time::HiRes::ualarm(0); 1 } or Time::HiRes::ualarm(0);
        complain("it is not interrupted: $error") if $done || $error ne "alarm\n";
        return;
    };
};

# ---- the process itself ----

$steps{handler} = sub {
    my $name = pick(qw(CHLD CHLD USR1 USR2 HUP INT QUIT TERM PIPE WINCH URG PROF));
    my @can = qw(count named sigaction);
    push @can, 'IGNORE'  if !$model->{pending}{ $NUMBER{$name} };
    # children that live and end must not kill it
    push @can, 'DEFAULT' if !$model->{pending}{ $NUMBER{$name} } && $name !~ /^USR/;
    my ($what, $flags) = (pick(@can), pick(0, POSIX::SA_RESTART()));
    trace($model, "\$SIG{$name} = $what" . ($what eq 'sigaction' ? ", flags $flags" : ''));
    $model->{sig}{$name} = $what =~ /^(?:named|sigaction)$/ ? 'count' : $what;
    return sub {
        if ($what eq 'sigaction') {
            my $action = POSIX::SigAction->new(counter($name), POSIX::SigSet->new, $flags);
            # otherwise the handler runs in the middle of malloc, say: perl itself does not survive that
            $action->safe(1);
            POSIX::sigaction($NUMBER{$name}, $action) or complain("sigaction: $!");
        }
        elsif ($what eq 'named') {
            no strict 'refs';
            no warnings 'redefine';
            *{"main::named_$name"} = counter($name);
            $SIG{$name} = "named_$name";
        }
        else {
            $SIG{$name} = $what eq 'count' ? counter($name) : $what;
        }
        return;
    };
};

$steps{mask} = sub {
    my $name = pick(qw(HUP QUIT IO WINCH PROF));
    my $number = $NUMBER{$name};
    my $blocked = delete $model->{mask}{$number};
    $model->{mask}{$number} = 1 if !$blocked;
    trace($model, ($blocked ? 'unblock ' : 'block ') . $name);
    deliver($model, $name) if $blocked && delete $model->{pending}{$number};
    return sub {
        POSIX::sigprocmask($blocked ? POSIX::SIG_UNBLOCK() : POSIX::SIG_BLOCK(), POSIX::SigSet->new($number));
        return;
    };
};

my @files;

$steps{files} = sub {
    my $close = @files > 4 || @files && chance(50);
    trace($model, $close ? 'close a file' : 'open a file');
    return sub {
        if ($close) {
            my $fh = shift @files;
            delete $model->{files}{fds}{ fileno $fh };
            close $fh;
            return;
        }
        open my $fh, '<', '/dev/null' or die "/dev/null: $!";
        push @files, $fh;
        $model->{files}{fds}{ fileno $fh } = '/dev/null';
        return;
    };
};

my $user_namespaces = 0;

$steps{unshare} = sub {
    my $flags = some_namespaces($model);
    delete @$flags{qw(NEWPID NEWNS)};
    # who has no ids cannot have namespaces any more
    my $maps = $flags->{NEWUSER} && !no_namespaces($model, $flags) ? 1 : 0;
    if ($maps && ($user_namespaces || chance(70))) {
        delete $flags->{NEWUSER};
        $maps = 0;
    }
    my $errno = no_namespaces($model, $flags);
    $flags->{$_} = 1 for grep { chance(20) } qw(FS FILES SYSVSEM);
    trace($model, 'unshare ' . names($flags) . ($errno ? ": $errno" : ''));
    if (!$errno) {
        Random::Model::unshared($model, $flags);
        $model->{mapped} = 1 if $maps;
        $user_namespaces += $maps;
    }
    my ($uid, $gid) = ($>, $) + 0);
    return sub {
        local $! = Errno::ENOTTY;
        refused(Linux::Clone::unshare(bits($flags)), $errno, 'unshare');
        return if !$maps;
        for ([ setgroups => 'deny' ], [ uid_map => "0 $uid 1" ], [ gid_map => "0 $gid 1" ]) {
            my ($file, $text) = @$_;
            open my $fh, '>', "/proc/self/$file" or die "/proc/self/$file: $!";
            syswrite $fh, $text or die "/proc/self/$file: $!";
        }
        return;
    };
};

# Into the namespaces of a child that lives, by a file or by its pidfd.
$steps{join} = sub {
    my @living = living() or return;
    my $child = pick(@living);
    my $kind = pick(grep { /^(?:uts|ipc|net|cgroup)$/ } namespaces());
    my $other = $child->{model};
    my $flag = $flag_of{$kind};
    my $owner = $other->{owner}{$kind};
    my $errno = rules($model, $owner) ? undef : 'EPERM';
    my $by = pick(qw(file pidfd));
    trace($model, "setns $kind of $child->{pid} by $by" . ($errno ? ": $errno" : ''));
    if (!$errno) {
        $model->{ns}{$kind} = $other->{ns}{$kind};
        $model->{owner}{$kind} = $owner;
    }
    return sub {
        my $file = "/proc/$child->{pid}/ns/$kind";
        $Random::Model::ns_link{ $other->{ns}{$kind} } //= readlink $file;
        my $fd;
        if ($by eq 'file') {
            my $opened = open my $fh, '<', $file;
            # who may not look into the process gets no descriptor
            return complain("$file: $!") if !$opened && !$errno;
            return if !$opened;
            local $! = Errno::ENOTTY;
            refused(Linux::Clone::setns($fh, bits({ $flag => 1 })), $errno, 'setns');
            return;
        }
        $fd = Linux::Clone::pidfd_open($child->{pid});
        return complain("pidfd_open: $!") if $fd == -1;
        { local $! = Errno::ENOTTY; refused(Linux::Clone::setns($fd, bits({ $flag => 1 })), $errno, 'setns'); }
        POSIX::close($fd);
        return;
    };
};

# A timer of the caller's, which goes off in the middle of something.
$steps{timer} = sub {
    return if $model->{sig}{ALRM} ne 'DEFAULT';
    my $usec = 20 + below(4000);
    trace($model, "alarm in $usec us");
    $model->{sig}{ALRM} = 'code';
    my ($code, $end) = do { local $model->{handling} = { ALRM => 1 }; block($model, 1 + below(3)) };
    $model->{sig}{ALRM} = 'DEFAULT';
    die 'the main program ends' if $end;
    return sub {
        my $came = 0;
        local $SIG{ALRM} = sub { $came++ };
        Time::HiRes::ualarm($usec);
        $code->();
        my $n = 0;
        Time::HiRes::sleep(0.001) while !$came && $n++ < 20_000;
        complain("the alarm came $came times") if $came != 1;
        return;
    };
};

# ---- threads ----

$steps{thread} = sub {
    return if !$threads;
    my $detach = chance(25);
    trace($model, 'a thread, ' . ($detach ? 'detached {' : 'joined {'));
    my $thread = {
        %$model, kind => 'main', mem => { %{ $model->{mem} } }, objs => [], no_end => 1, threaded => 1, handlers => 0, depth => 1, nodie => 1,
    };
    # what becomes of signals depends on which thread gets them: none come
    return if $model->{sig}{CHLD} eq 'count' || $model->{mem}{buf} ne '';
    local $budget = 6;
    my ($code) = clone_action($thread);
    flush_buffer($thread);
    trace($model, '}');
    # not what happens to the parent's memory
    return sub {
        my $ready = '';
        my $thread = threads->create(sub { my $done = eval { $code->(); 1 }; complain("a thread dies: $@") if !$done; OUT->flush; return 7 });
        if ($detach) {
            $thread->detach;
        }
        else {
            my $got = $thread->join;
            complain("join gives $got") if $got != 7;
        }
        # it has ended, for the kernel as well
        my $n = 0;
        Time::HiRes::sleep(0.001) while (stat '/proc/self/task')[3] > 3 && $n++ < 20_000;
        # the C library keeps stacks of threads
        ($stacks, $maps) = (stacks(), scalar mappings());
        return;
    };
};

# ---- spawn ----

my %spawns;

$steps{spawn} = sub {
    my $what = pick(qw(code code exec exec lives fails));
    trace($model, "spawn $what");
    return if $model->{mask}{ $NUMBER{CHLD} };
    return $spawns{$what}->();
};

sub object_status {
    my ($child, $expected, $gone) = @_;
    my $got = $child->wait;
    my $errno = $! + 0;
    # who is waited for by the kernel is remembered by a new one only
    if ($gone && $got == -1) {
        complain("wait: errno $errno, \$? $?") if $errno != Errno::ECHILD || $? != -1;
        return;
    }
    complain("wait gives $got, not " . $child->pid)           if $got != $child->pid;
    complain('the child ends by ' . ended() . ", not $expected") if ended() ne $expected;
    return;
}

# What holds of any child that has ended and has been waited for.
sub after_end {
    my ($child, $expected, $gone) = @_;
    for my $method (map { pick(qw(running kill wait pidfd)) } 1 .. below(4)) {
        object_status($child, $expected, $gone) if $method eq 'wait';
        complain('it runs')                     if $method eq 'running' && $child->running;
        if ($method eq 'kill') {
            my $got = $child->kill(pick('TERM', 0, 'SIGKILL'));
            complain("kill gives $got with $!") if $got || $! != Errno::ESRCH;
        }
        complain('no pidfd') if $method eq 'pidfd' && !defined fileno $child->pidfd;
    }
    return;
}

sub kinds_for_spawn {
    my $flags = chance(40) ? some_namespaces($model) : {};
    return no_namespaces($model, $flags) ? {} : $flags;
}

$spawns{code} = sub {
    my $flags = kinds_for_spawn();
    my $signal = pick('CHLD', 'CHLD', 0);
    my $child = child_of($model, 'copy', $flags);
    push @out_text, $model->{mem}{buf};
    $model->{mem}{buf} = '';
    $child->{exit_sig} = $signal;
    @$child{qw(told forked)} = (1, 1);
    my @options = (exit_signal => $signal, flags => bits($flags));
    if ($flags->{NEWUTS} && chance(50)) { push @options, hostname => 'random' }
    if ($flags->{NEWUSER}) {
        push @options, uid_map => 'root', gid_map => 'root';
        $child->{mapped} = 1;
    }
    push @options, stack_size => 300_000 + below(1 << 22) if chance(20);
    trace($model, "flags " . names($flags) . ", exit signal $signal {");
    # while spawn waits for it the caller's table has the descriptors that are to talk to it
    my ($code, $end) = do { local $child->{nodie} = 1; block($child, 1 + below(3)) };
    my ($result, $status) = random_result($child);
    ends_by($child, 'return');
    trace($model, "} $status");
    my $gone = reaped_by_kernel($model, $signal);
    deliver($model, $signal) if $signal;
    my $kill = chance(20);
    my $seed = below(1 << 30);
    return sub {
        my ($errno, $before) = (1 + below_at($seed, 100), 'before');
        ($!, $@) = ($errno, $before);
        my $object = Linux::Clone::spawn(@options, code => sub { $code->(); return $result->() });
        return complain("spawn: $Linux::Clone::error") if !$object;
        complain("\$! is " . ($! + 0) . ", \$\@ $@")   if $! != $errno || $@ ne $before;
        $object->kill_on_destroy(undef) if $kill;
        object_status($object, $status, $gone);
        after_end($object, $status, $gone);
        return;
    };
};

# A number of the running code's own: what is drawn there would depend on what happens.
sub below_at {
    my ($seed, $n) = @_;
    return $seed % $n;
}

$spawns{exec} = sub {
    my $flags = kinds_for_spawn();
    my $n = below(256);
    my @options = (exec => [ '/bin/sh', '-c', "exit $n" ], flags => bits($flags));
    push @options, cwd => $Random::Plan::base . '/a' if chance(30);
    push @options, env => { PATH => '/bin', X => 1 } if chance(30);
    push @options, uid_map => 'root', gid_map => 'root' if $flags->{NEWUSER} && chance(50);
    push @options, parent_death => 'KILL' if chance(20);
    trace($model, 'flags ' . names($flags) . ", exit $n");
    push @out_text, $model->{mem}{buf};
    $model->{mem}{buf} = '';
    my $gone = reaped_by_kernel($model, 'CHLD');
    deliver($model, 'CHLD');
    return sub {
        my $object = Linux::Clone::spawn(@options) or return complain("spawn: $Linux::Clone::error");
        object_status($object, "exit $n", $gone);
        after_end($object, "exit $n", $gone);
        return;
    };
};

# One that lives: signalled, and destroyed with or without a signal.
$spawns{lives} = sub {
    my $way = pick(qw(kill destroy forget));
    my $exec = chance(50);
    trace($model, ($exec ? 'a program' : 'code') . ", then $way");
    push @out_text, $model->{mem}{buf};
    $model->{mem}{buf} = '';
    my %entry = (state => 'lives', end => 'exit 9', sig => 'CHLD', model => child_of($model, 'copy', {}), how => '_exit');
    # what a program does on signals is not what its parent does
    my $gone = reaped_by_kernel($model, 'CHLD');
    push @children, \%entry if $way eq 'forget';
    deliver($model, 'CHLD') if $way ne 'forget';
    return sub {
        pipe my $read, my $write or die "pipe: $!";
        my @work = $exec ? (exec => [ '/bin/sh', '-c', 'read x; exit 9' ], stdin => $read)
            : (code => sub { 1 while !defined sysread $read, my $byte, 1; POSIX::_exit(9) });
        my $object = Linux::Clone::spawn(@work) or return complain("spawn: $Linux::Clone::error");
        complain('it does not run') if !$object->running;
        if ($way eq 'kill') {
            $object->kill('KILL') or complain("kill: $!");
            object_status($object, 'signal 9', $gone);
            after_end($object, 'signal 9', $gone);
        }
        elsif ($way eq 'destroy') {
            $object->kill_on_destroy('KILL');
            ($!, $@, $?) = (5, 'before', 77);
            undef $object;
            complain('DESTROY changes $!, $@ or $?') if $! != 5 || $@ ne 'before' || $? != 77;
        }
        else {
            $entry{pid} = $object->pid;
            undef $object;
            @entry{qw(leash read)} = ($write, $read);
            $model->{files}{fds}{ fileno $_ } = readlink '/proc/self/fd/' . fileno $_ for $read, $write;
            return;
        }
        return;
    };
};

# A step that the kernel refuses: no child, and a message.
$spawns{fails} = sub {
    my @ways = (
        [ Errno::ENOENT(), qr/spawn: exec \/no\/such: /, exec => ['/no/such'] ],
        [ Errno::ENOENT(), qr/spawn: cwd \/no\/such: /, exec => ['/bin/true'], cwd => '/no/such' ],
        [ Errno::EBADF(), qr/spawn: stdin: /, exec => ['/bin/true'], stdin => 999 ],
        [ Errno::EACCES(), qr/spawn: exec \/etc\/passwd: /, exec => ['/etc/passwd'] ],
    );
    my ($errno, $message, @options) = @{ pick(@ways) };
    trace($model, "$message");
    push @out_text, $model->{mem}{buf};
    $model->{mem}{buf} = '';
    return sub {
        local $? = 99;
        my $object = Linux::Clone::spawn(@options);
        my $is = $! + 0;
        complain("it starts with @options")                            if $object;
        complain("errno $is, not $errno; $Linux::Clone::error")        if $is != $errno || $Linux::Clone::error !~ $message;
        complain("\$? is $?")                                          if $? != 99;
        # the signal of the child that failed may come or not, says the manual
        my $counted = ($G{n_CHLD} // 0) - ($model->{mem}{n_CHLD} // 0);
        $model->{mem}{n_CHLD}++ if $counted == 1 && $model->{sig}{CHLD} eq 'count';
        return;
    };
};

# ---- the other functions ----

my @calls = (
    [ 'kcmp' => sub { return Linux::Clone::kcmp($$, $$, Linux::Clone::KCMP_VM()) }, 0 ],
    [ 'kcmp of no process' => sub { return Linux::Clone::kcmp($$, 0, Linux::Clone::KCMP_VM()) }, 'ESRCH' ],
    [ 'unshare 0' => sub { return Linux::Clone::unshare(0) }, 0 ],
    [ 'unshare of nonsense' => sub { return Linux::Clone::unshare(1 << 5) }, 'EINVAL' ],
    [ 'pidfd_open 0' => sub { return Linux::Clone::pidfd_open(0) }, 'EINVAL' ],
    [ 'setns of a file' => sub { return Linux::Clone::setns(\*OUT) }, 'EINVAL' ],
    [ 'setns of nothing' => sub { return Linux::Clone::setns(999) }, 'EBADF' ],
    [ 'pidfd_send_signal to a file' => sub { return Linux::Clone::pidfd_send_signal(\*OUT, 0) }, 'EBADF' ],
    [ 'ns_get_nstype of a file' => sub { return Linux::Clone::ns_get_nstype(\*OUT) }, 'ENOTTY' ],
    [ 'pidfd_open and _send_signal' => sub {
        my $fd = Linux::Clone::pidfd_open($$);
        my $got = Linux::Clone::pidfd_send_signal($fd, 0);
        POSIX::close($fd);
        return $got;
    }, 0 ],
    [ 'pivot_root of a file' => sub { return Linux::Clone::pivot_root("$out_file/x", '/') }, sub { return rules($model, $model->{owner}{mnt}) ? 'ENOTDIR' : 'EPERM' } ],
);

$steps{call} = sub {
    my ($name, $code, $should) = @{ pick(@calls) };
    $should = $should->() if ref $should;
    trace($model, $name);
    return sub {
        local ($!, $@, $?) = (Errno::ENOTTY(), 'before', 55);
        my $got = $code->();
        my $after = $@;
        # ENOTTY may be the answer itself
        refused($got, $should, $name) if $should ne 'ENOTTY';
        complain("$name gives $got")  if $should eq 'ENOTTY' && $got != -1;
        complain('$@ or $? changes')  if $after ne 'before' || $? != 55;
        return;
    };
};

1;
