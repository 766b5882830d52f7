# ithreads: clone in a thread, and threads around a clone.
use strict;
use warnings;
use Config;

BEGIN {
    if (!$Config{useithreads}) {
        print "1..0 # SKIP this perl has no ithreads\n";
        exit 0;
    }
}
use threads;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use CloneTest;
use File::Temp ();
use POSIX qw(SIGCHLD);

is(threads->create(sub { status(sub { 5 }) })->join, 'exit 5', 'clone in a thread');
is(threads->create(sub { status(sub { exit 6 }) })->join, 'exit 6', 'exit in such a child');
is(threads->create(sub { status(sub { local *STDERR; open STDERR, '>', '/dev/null'; $! = 0; die "x\n" }) })->join, 'exit 255', 'die in it');
is(threads->create(sub { status(sub { exec $^X, '-e', 'exit 7' or 1 }) })->join, 'exit 7', 'exec in it');
is(threads->create(sub { status(sub { threads->tid }) })->join =~ /^exit [1-9]/, 1, 'it knows its thread id');
is(threads->create(sub { my $ptid; my $pid = Linux::Clone::clone(sub { 0 }, 0, SIGCHLD, $ptid); waitpid $pid, 0; $ptid == $pid })->join, 1, '$ptid in a thread');
is status(sub { threads->create(sub { 8 })->join }), 'exit 8', 'a child that starts a thread';
is status(sub { threads->create(sub { status(sub { 9 }) })->join =~ /(\d+)/ ? $1 : 0 }), 'exit 9', 'whose thread clones';

# exit and die in the child of a thread, beside what fork does
for my $body (
    'threads->create(sub { told(sub { exit 3 }) })->join',
    'END { print "END ", $$ == $main ? "main" : "child", "\n" } threads->create(sub { told(sub { exit 4 }) })->join',
    'END { print "END ", $$ == $main ? "main" : "child", "\n" } told(sub { exit 5 })',
    'my $t = threads->create(sub { sleep 1 while 1 }); $t->detach; told(sub { exit 6 }); POSIX::_exit(0)',
    'my $o = bless []; sub DESTROY { print "DESTROY ", $$ == $main ? "main" : "child", "\n" } threads->create(sub { told(sub { exit 7 }) })->join',
  )
{
    my @seen = both($body);
    is $seen[1], $seen[0], "as fork does: $body";
}

# threads that run on while others clone
{
    my @workers = map {
        threads->create(sub {
            my ($n, @wrong) = (0);
            for my $turn (1 .. 40) {
                my $status = $turn;
                my $end = status($turn % 2 ? sub { $status } : sub { exit $status });
                push @wrong, "$end, not $status" if $end ne "exit $status";
            }
            return "@wrong";
        });
    } 1 .. 4;
    is_deeply [ map { $_->join } @workers ], [ ('') x 4 ], 'four threads that clone at once';
}

# What a program prints, and its status, that does $main while that many threads do $work over and
# over; $first comes before them.
sub beside {
    my ($threads, $work, $main, $first) = @_;
    return perl_output(<<"PERL", File::Temp->new);
        use threads; use Linux::Clone; use POSIX (); use ProcessTest qw(ends ended);
        my \$file = shift;
        $first;
        my \@busy = map { threads->create(sub { while (-s \$file == 0) { $work } }) } 1 .. $threads;
        $main;
        open my \$fh, '>', \$file or die \$!;
        syswrite \$fh, 'stop';
        \$_->join for \@busy;
PERL
}
my $fill = '@data = map { [ 1 .. 5 ] } 1 .. 2000';

# The child is copied while other threads hold the C library's locks: about one in a hundred of
# these would wait for ever for a lock of malloc's.
{
    my ($output) = beside(2, $fill, 'print ends(400, sub { Linux::Clone::clone($_[0] % 2 ? sub { @data = map { [ 1 .. 3 ] } 1 .. 500; 5 } : sub { close STDERR; exit 5 }, 0, 17) })', "our $fill");
    is $output, '5: 400', 'a child finds the locks of the C library free';
}

# The same of a child that fork(3) cannot make, where each tick of the watch for one that is stuck costs more than all that it has to
# do: as on a slow machine that has nothing else to do.
SKIP: {
    my ($output, $status) = beside(2, $fill, 'print ends(200, sub { Linux::Clone::clone(sub { 5 }, 0, 17 | Linux::Clone::FILES) })', <<"PERL");
        use FaultTest ();
        FaultTest::slow_system_calls() or die 'refused: errno ' . (\$! + 0) . "\\n";
        our $fill
PERL
    skip "the kernel refuses filters: $output", 1 if $output =~ s/^refused: //;
    is "$output $status", '5: 200 0', 'also where a look at the child takes long';
}

# The same of the lock that glibc has since 2.33 for nsswitch.conf: of these children, one in some
# hundreds would wait for ever.
{
    my $look_up = q{my @user = getpwnam('root')};
    my ($output) = beside(3, $look_up, "print ends(400, sub { Linux::Clone::clone(sub { $look_up; \$user[2] == 0 ? 5 : 6 }, 0, 17) })", '');
    is $output, '5: 400', 'a child may look up a user';
}

# Locks of perl's that its fork does not hold: that of the environment, which localtime takes since
# perl 5.32, and that of hints. Of the children of fork half would wait for ever, and one in a hundred.
for my $case ([ localtime => 200, 'my $now = localtime' ], [ 'eval' => 800, 'my $sub = eval $source for 1 .. 3' ]) {
    my ($name, $times, $code) = @$case;
    next if $name eq 'localtime' && "$]" < 5.032;    # it takes the C library's
    my ($output) = beside(3, $code, <<"MAIN", <<'FIRST');
        my \$code = sub { \$ENV{TZ} = 'UTC'; $code; 5 };
        print ends($times, sub { Linux::Clone::clone(\$code, 0, 17 | (\$_[0] % 2 ? 0 : Linux::Clone::VFORK)) })
MAIN
        my $source = 'sub { BEGIN { $^H{a} = 1; $^H{b} = 2 } my $x = 1; { no strict; $x++ } { use integer; $x++ } $x }'
FIRST
    is $output, "5: $times", "a child may call $name";
}

# Nor may a clone hold that of the environment while it waits for the locks of a fork: that copies it.
{
    my ($output) = beside(2, 'waitpid Linux::Clone::clone(sub { 0 }, 0, 17), 0', <<'MAIN', '');
        print ends(200, sub { my $pid = fork // die "fork: $!"; return $pid if $pid; my $now = localtime; POSIX::_exit(5) })
MAIN
    is $output, '5: 200', 'and so may a child of fork, beside clones';
}

# Where there are other threads, the copy is fork's, and what it cannot say another process says, whose
# child it is not: whatever the way, the child is the caller's, and as it was asked for.
my $namespace = namespace_flags(Linux::Clone::NEWUTS);
my $ways = "our $fill; my \$namespace = $namespace;\n" . <<'FIRST';
        use Linux::Clone qw(clone clone3 spawn waitid);
        use constant { map { $_ => Linux::Clone->can($_)->() } qw(PIDFD VFORK FILES FS) };
        our ($fd, $object);
        sub spawned { $object = spawn(@_) or die "$Linux::Clone::error\n"; return $object->pid }
        our %ways = (
            'alone'                => sub { clone($_[0], 0, 17) },
            'alone, PIDFD'         => sub { clone($_[0], 0, 17 | PIDFD, $fd) },
            'alone, clone3'        => sub { clone3($_[0], { pidfd => \$fd, child_tid => \my $tid }) },
            'by another'           => sub { clone($_[0], 0, 17 | $namespace) },
            'by another, PIDFD'    => sub { clone($_[0], 0, 17 | PIDFD | $namespace, $fd) },
            'by another, clone3'   => sub { clone3($_[0], { flags => $namespace, pidfd => \$fd, parent_tid => \my $tid }) },
            'by another, VFORK'    => sub { clone($_[0], 0, 17 | VFORK) },
            'by clone'             => sub { clone($_[0], 0, 17 | FILES | FS | PIDFD, $fd) },
            'spawn'                => sub { spawned(code => $_[0]) },
            'spawn, in namespaces' => sub { spawned(code => $_[0], flags => $namespace) },
        );
        our ($way, @wrong);
        # a child on this way: its id
        sub start {
            my $pid = eval { $ways{$way}->(@_) } // -1;
            push @wrong, "$way: $! $@" if $pid <= 0;
            POSIX::close($fd) if defined $fd;
            undef $fd;
            return $pid;
        }
        # SIGCHLD is the main thread's alone
        POSIX::sigprocmask(POSIX::SIG_BLOCK(), POSIX::SigSet->new(17));
FIRST
SKIP: {
    needs($namespace, 4);
    my @rows = (
        [ 'each finds the locks free, and has its parent, its thread id and its thread', <<'MAIN' ],
            my $parent = $$;
            my $code = sub { my @own = map { [ 1 .. 3 ] } 1 .. 500; POSIX::getppid() == $parent && -d "/proc/self/task/$$" && threads->tid == 0 ? 5 : 6 };
            my $ends = ends(60, sub { start($code) });
            push @wrong, "$way: $ends" if $ends ne '5: 60';
MAIN
        # a status that somebody else has taken is no failure
        [ 'where SIGCHLD is ignored', <<'MAIN' ],
            local $SIG{CHLD} = 'IGNORE';
            start(sub { 5 }) for 1 .. 30;
            1 while wait != -1;
            push @wrong, "$way: a child is left" if ProcessTest::children();
MAIN
        [ 'where a handler reaps them all', <<'MAIN' ],
            my (%ended, %started);
            local $SIG{CHLD} = sub { while ((my $pid = waitpid -1, POSIX::WNOHANG()) > 0) { $ended{$pid} = $? >> 8 } };
            POSIX::sigprocmask(POSIX::SIG_UNBLOCK(), POSIX::SigSet->new(17));
            $started{ start(sub { 5 }) }++ for 1 .. 30;
            for (1 .. 1000) { last if !grep { !exists $ended{$_} } keys %started; select undef, undef, undef, 0.01 }
            push @wrong, map { "$way: " . ($ended{$_} // 'not reaped') } grep { ($ended{$_} // 0) != 5 } keys %started;
            POSIX::sigprocmask(POSIX::SIG_BLOCK(), POSIX::SigSet->new(17));
MAIN
        [ 'where another thread waits for all', <<'MAIN' ],
            our $waiting //= threads->create(sub { while (1) { wait == -1 and select undef, undef, undef, 0.001 } })->detach // 1;
            start(sub { 5 }) for 1 .. 30;
MAIN
    );
    for (@rows) {
        my ($what, $main) = @$_;
        CloneTest::arm();
        my ($output) = beside(2, $fill, "for (sort keys %ways) { \$way = \$_; $main } print join('; ', \@wrong) || 'none wrong'; STDOUT->flush; POSIX::_exit(0)", "$ways use IO::Handle ();");
        is $output, 'none wrong', "on all ways: $what";
    }
}

# The end of a process between sends a SIGCHLD. Another thread, whose interpreter has no handler, would
# end the program by it; so the one that clones takes it, as it would take that of its own child.
for my $flags ('Linux::Clone::NEWUTS', 'Linux::Clone::NEWUTS | Linux::Clone::NEWIPC') {
    my ($output, $status) = perl_output(<<"PERL");
        use strict; use warnings; use threads; use Linux::Clone; use POSIX ();
        my \$flags = $flags | (\$> ? Linux::Clone::NEWUSER : 0) | 17;
        threads->create(sub { sleep 60 })->detach;
        select undef, undef, undef, 0.1;
        my \$came = 0;
        \$SIG{CHLD} = sub { \$came++ };
        # none ends before all are there, however long that takes
        pipe my \$in, my \$out or die \$!;
        my \@pids = map { Linux::Clone::clone(sub { close \$out; <\$in>; 7 }, 0, \$flags) } 1 .. 20;
        close \$out;
        my \@statuses = map { waitpid(\$_, 0) == \$_ ? \$? >> 8 : -1 } \@pids;
        print join(' ', map { my \$n = \$_; scalar grep { \$_ == \$n } \@statuses } 7), \$came > 0 ? ' came' : ' none';
        STDOUT->flush; POSIX::_exit(0);
PERL
    is "$output $status", '20 came 0', "SIGCHLD comes to the thread that clones with $flags";
}

# A handler that is not deferred and dies: there is no child.
{
    my ($output) = perl_output(<<'PERL');
        use strict; use warnings; use threads; use Linux::Clone; use POSIX ();
        my $flags = Linux::Clone::NEWUTS | ($> ? Linux::Clone::NEWUSER : 0) | 17;
        threads->create(sub { sleep 60 })->detach;
        POSIX::sigaction(17, POSIX::SigAction->new(sub { die "handler\n" }, POSIX::SigSet->new, 0));
        pipe my $read, my $write or die;
        my $pid = eval { Linux::Clone::clone(sub { syswrite $write, 'ran'; 7 }, 0, $flags) };
        my $why = $@;
        POSIX::sigaction(17, POSIX::SigAction->new('DEFAULT'));
        close $write;
        sysread $read, my $ran, 9;
        print defined $pid ? 'a pid' : $why =~ s/\n//r, ", ", $ran || 'nothing ran', ", ", wait;
        STDOUT->flush; POSIX::_exit(0);
PERL
    is $output, 'handler, nothing ran, -1', 'a handler that dies meanwhile: there is no child';
}

# Of a child by clone(2) the kernel knows where the C library has its robust mutexes, as of fork's.
SKIP: {
    my $number = nr('get_robust_list') // skip 'the number of get_robust_list is not known here', 1;
    my ($output) = perl_output(<<"PERL");
        use strict; use warnings; use Linux::Clone;
        my \$known = sub { my (\$head, \$len) = ("\\0" x 8) x 2; syscall($number, 0, \$head, \$len) == 0 ? unpack('J', \$head) : 'refused' };
        my \$own = \$known->();
        my \$pid = Linux::Clone::clone(sub { \$known->() eq \$own ? 5 : 6 }, 0, 17);
        waitpid \$pid, 0;
        print \$? >> 8;
PERL
    is $output, 5, "the C library's list of robust mutexes is known of a child";
}

# A clone takes no longer than a fork, whatever the threads do: it was three hundred times as long for
# a child that waits for one of malloc's locks, and for its successors.
{
    my $append = q{my @strings = ('') x 20; for my $n (1 .. 200) { $_ .= 'x' x $n for @strings }};
    my ($output) = beside(3, $append, <<'MAIN', 'use Time::HiRes qw(time)');
        my %start = (
            fork  => sub { my $pid = fork // die "fork: $!"; POSIX::_exit(0) if !$pid; $pid },
            clone => sub { Linux::Clone::clone(sub { POSIX::_exit(0) }, 0, 17) },
        );
        my %took;
        for (1 .. 41) {
            for my $how (qw(fork clone)) {
                my $from = time;
                my $pid = $start{$how}->();
                push @{ $took{$how} }, time - $from;
                waitpid $pid, 0;
            }
        }
        my ($fork, $clone) = map { (sort { $a <=> $b } @{ $took{$_} })[20] } qw(fork clone);
        print $clone < 5 * $fork + 0.001 ? 'as fast' : "fork $fork, clone $clone";
MAIN
    is $output, 'as fast', 'a clone beside busy threads takes as long as a fork';
}

# What is refused is told as where there is one thread, and nothing is left.
{
    my %refused = (
        'by the system call'       => [ 22, 'clone3($code, { set_tid => [ (1) x 40 ] })' ],
        'a control group'          => [ 9,  'clone3($code, { cgroup => 900 })' ],
        'a descriptor'             => [ 24, 'without_descriptors(sub { clone($code, 0, 17 | PIDFD, $fd) })' ],
        'a descriptor, by another' => [ 24, 'without_descriptors(sub { clone($code, 0, 17 | PIDFD | $namespace, $fd) })' ],
    );
    for my $what (sort keys %refused) {
        my ($errno, $start) = @{ $refused{$what} };
        for my $threads (0, 1) {
            my ($output) = beside($threads, $fill, <<"MAIN", "$ways use FaultTest ()");
                sub without_descriptors {
                    my \$before = FaultTest::rlimit(NOFILE => 3);
                    my \$pid = \$_[0]->();
                    my \$errno = \$! + 0;
                    FaultTest::rlimit(NOFILE => \$before);
                    \$! = \$errno;
                    return \$pid;
                }
                my \$code = sub { syswrite STDOUT, 'it ran'; 5 };
                my \$pid = $start;
                print \$pid == -1 ? 'errno ' . (\$! + 0) : 'a child', ', ', ProcessTest::children(), ' left';
MAIN
            is $output, "errno $errno, 0 left", "refused: $what, with $threads threads";
        }
    }
}

# Recursion ends at the end of the child's stack, not at that of the thread, whose it is not.
for my $flags (0, $namespace) {
    needs($flags, 1) if $flags;
    my ($output) = beside(1, $fill, <<"MAIN", "our $fill");
        no warnings;
        sub deep { my \@s = sort { syswrite \$write, '.'; deep(); 0 } 1, 2; return }
        for my \$size (300_000, 0) {
            pipe my \$read, our \$write or die;
            my \$pid = Linux::Clone::clone(sub { close \$read; deep(); 0 }, \$size, 17 | $flags);
            close \$write;
            my \$turns = 0;
            while ((my \$got = sysread \$read, my \$dots, 65536) > 0) { \$turns += \$got }
            waitpid \$pid, 0;
            print ended(), \$turns > 1000 ? ' after many turns' : ' after few', \$size ? ', ' : '';
        }
MAIN
    is $output, 'signal 11 after few, signal 11 after many turns', "a child's stack beside threads, flags $flags";
}

# A child that waits for its parent to open a descriptor for it does not outlive that.
SKIP: for my $flags (0, $namespace) {
    needs($flags, 1) if $flags;
    pipe my $read, my $write or die "pipe: $!";
    for my $trial (1 .. 25) {
        my $pid = fork // die "fork: $!";
        if (!$pid) {
            close $read;
            threads->create(sub { my @data; @data = map { [ 1 .. 5 ] } 1 .. 500 while 1 })->detach;
            while (1) {
                my $child = Linux::Clone::clone(sub { POSIX::_exit(5) }, 0, SIGCHLD | Linux::Clone::PIDFD | $flags, my $fd);
                waitpid $child, 0;
                POSIX::close($fd);
            }
        }
        select undef, undef, undef, 0.02 + rand 0.05;
        kill KILL => $pid;
        waitpid $pid, 0;
    }
    close $write;
    local $SIG{ALRM} = sub { die "alarm\n" };
    alarm 20 * $CloneTest::slow;
    ok eval { sysread $read, my $nothing, 1; 1 }, "nobody waits for a parent that is dead, flags $flags";
    CloneTest::arm();
}

# A child that sets its ids while other threads start and end; one for a PID namespace that waits
# for its process 1.
{
    my ($output) = perl_output(<<'PERL');
        use threads; use Linux::Clone; use POSIX (); use ProcessTest qw(ends);
        my @busy = map { threads->create(sub { for (1 .. 60) { threads->create(sub { my @x = (1) x 1000; 1 })->join } }) } 1 .. 2;
        print ends(150, sub { Linux::Clone::clone(sub { POSIX::setuid($<); $> = $>; 5 }, 0, 17) });
        $_->join for @busy;
PERL
    is $output, '5: 150', 'a child may set its ids';
}
SKIP: {
    # as root, since user namespaces are not for processes with several threads
    skip 'unshare(NEWPID) is for root', 1 if $> != 0;
    needs(Linux::Clone::NEWPID, 1);
    my ($output) = beside(2, "my $fill", <<'MAIN', '');
        my %ends;
        for my $turn (1 .. 60) {
            # a thread for each, since it is done once only
            $ends{ threads->create(sub {
                Linux::Clone::unshare(Linux::Clone::NEWPID) == 0 or return "unshare: $!";
                my $pid = Linux::Clone::clone(sub { POSIX::_exit($$) }, 0, 17);
                return "clone: $!" if $pid == -1;
                waitpid $pid, 0;
                return $? >> 8;
            })->join }++;
        }
        print map { "$_: $ends{$_}\n" } sort keys %ends
MAIN
    is $output, "1: 60\n", 'unshare(NEWPID) in a thread: its next child is process 1';
}

# Other threads run on while the caller sleeps in a shared-memory clone.
{
    my $shared = Linux::Clone::VM | Linux::Clone::VFORK;
    my $file = File::Temp->new;
    my $busy = threads->create(sub {
        my %mine = (key => [ 1 .. 5 ]);
        for my $n (1 .. 60) { open my $fh, '>>', "$file" or die $!; syswrite $fh, '.'; close $fh; $mine{$n} = [ @{ $mine{key} } ]; select undef, undef, undef, 0.01 }
        return join ' ', scalar(keys %mine), "@{ $mine{key} }";
    });
    my $before = -s "$file";
    is status(sub { select undef, undef, undef, 0.3; exec 'true' }, $shared), 'exit 0', 'a child in shared memory while another thread works';
    cmp_ok((-s "$file") - $before, '>=', 5, 'which goes on meanwhile');
    is $busy->join, '61 1 2 3 4 5', 'and finds all that is its own';
    is_deeply [ map { $_->join } map { my $n = $_; threads->create(sub { join ' ', map { status(sub { my @x = (1) x 50; exec 'sh', '-c', "exit $n" }, $shared) } 1 .. 20 }) } 3 .. 6 ],
        [ map { join ' ', ("exit $_") x 20 } 3 .. 6 ], 'four threads, each with children in its own interpreter';
}

# a thread that ends while a child of its runs
{
    my $pid = threads->create(sub { spawn(sub { select undef, undef, undef, 0.3; 11 }) })->join;
    is CloneTest::reap($pid), 'exit 11', 'a child outlives the thread that started it';
}

# the handle of a thread's id is right in the child: glibc's own functions use it
is(threads->create(sub { status(sub { my $t = threads->create(sub { 12 }); $t->join }) })->join, 'exit 12', 'threads in the child of a thread');

done_testing;
