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
        use threads; use Linux::Clone; use POSIX (); use ProcessTest qw(ends);
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

# The same where each tick of the watch for a child that is stuck costs more than all that it has to
# do: as on a slow machine that has nothing else to do.
SKIP: {
    my ($output, $status) = beside(2, $fill, 'print ends(200, sub { Linux::Clone::clone(sub { 5 }, 0, 17) })', <<"PERL");
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
