# What happens in the child, and what the parent sees of it.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use CloneTest;
use POSIX ();

# ---- returns ----

package Num { use overload '0+' => sub { ${ $_[0] }++; 40 + ${ $_[0] } }, fallback => 1 }
package main;

my @results = (
    [ 77,           77,  'a number' ],
    [ 0,            0,   'zero' ],
    [ 255,          255, 'the highest' ],
    [ 256,          0,   'low eight bits' ],
    [ 0x1234,       0x34, 'low eight bits' ],
    [ -1,           255, 'a negative number' ],
    [ 3.9,          3,   'a fraction' ],
    [ '12',         12,  'a numeric string' ],
    [ undef,        0,   'undef' ],
    [ !!1,          1,   'true' ],
    [ !!0,          0,   'false' ],
    [ ~0,           255, 'the largest integer' ],
);
for (@results) {
    my ($value, $status, $text) = @$_;
    is status(sub { $value }), "exit $status", "returns $text";
}
is status(sub { }),                 'exit 0', 'returns nothing';
is status(sub { return }),          'exit 0', 'returns the empty list';
is status(sub { my @a = (5, 6, 7); @a }), 'exit 3', 'is called in scalar context';
is status(sub { defined wantarray && !wantarray ? 9 : 8 }), 'exit 9', 'and knows it';
is status(sub { scalar @_ }),       'exit 0', 'gets no arguments';
sub with_arguments { my $code = shift; return status($code) }
is with_arguments(sub { scalar @_ }, 1, 2), 'exit 0', 'nor those of the caller';
{
    my $calls = 0;
    is status(sub { bless \$calls, 'Num' }), 'exit 41', 'the value is evaluated once';
}
{
    package Tied { sub TIESCALAR { bless [] } sub FETCH { 50 + ++$_[0][0] } }
    tie my $tied, 'Tied';
    is status(sub { $tied }), 'exit 51', 'a tied one too';
}
{
    my ($output, $status) = perl_output('use warnings; use Linux::Clone; waitpid Linux::Clone::clone(sub { "12abc" }, 0, 17), 0; print $? >> 8');
    like $output, qr/^Argument "12abc" isn't numeric in subroutine entry at -e line 1\.\n12$/, 'a string warns as perl does';
    ($output, $status) = perl_output('use Linux::Clone; waitpid Linux::Clone::clone(sub { "12abc" }, 0, 17), 0; print $? >> 8');
    is $output, '12', 'under warnings';
}

# ---- dies ----

sub dying {
    my ($setup, $body, $around) = @_;
    $around //= '';
    my ($output) = perl_output(<<"PERL");
        use strict; use warnings; use Linux::Clone;
        \$| = 1;
        our \$parent = \$\$;
        $setup;
        END { print "END ", \$\$ == \$parent ? "parent" : "child", "\\n" }
        \$! = 0; \$? = 0;
        my \$pid = eval { $around; Linux::Clone::clone(sub { $body }, 0, 17) };
        print "caught in \$\$: \$@" if \$@;
        waitpid \$pid, 0;
        my \$status = \$?;
        print "status ", \$status >> 8, " signal ", \$status & 127, "\\n";
PERL
    return $output;
}
is dying('', 'die "oops\n"'), "oops\nEND child\nstatus 255 signal 0\nEND parent\n", 'a die: printed, 255, END blocks';
is dying('', 'die "oops"'), "oops at -e line 7.\nEND child\nstatus 255 signal 0\nEND parent\n", 'with its place';
is dying('', '$! = 5; die "oops\n"'), "oops\nEND child\nstatus 5 signal 0\nEND parent\n", 'the status is $!';
is dying('', '$! = 0; $? = 6 << 8; die "oops\n"'), "oops\nEND child\nstatus 6 signal 0\nEND parent\n", 'else $? >> 8';
is dying('', 'eval { die "inner\n" }; print "ok $@"; $! = 0; die "outer\n"'),
    "ok inner\nouter\nEND child\nstatus 255 signal 0\nEND parent\n", 'an eval of its own catches';
is dying('$SIG{__DIE__} = sub { print "hook ", defined $^S && !$^S ? "uncaught" : "caught", " $_[0]" }', 'die "oops\n"'),
    "hook uncaught oops\noops\nEND child\nstatus 255 signal 0\nEND parent\n", '$SIG{__DIE__} runs, outside of any eval';
is dying('$SIG{__DIE__} = sub { die "changed $_[0]" }', 'die "oops\n"'),
    "changed oops\nEND child\nstatus 255 signal 0\nEND parent\n", 'and may change the message';
is dying('{ package E; use overload q("") => sub { "an object\n" } }', 'die bless [], "E"'),
    "an object\nEND child\nstatus 255 signal 0\nEND parent\n", 'an exception object';
like dying('', 'die { a => 1 }'), qr/^HASH\(0x[0-9a-f]+\)END child\nstatus 255/, 'a reference';
is dying('{ package T; sub TIESCALAR { bless [] } sub FETCH { die "fetch\n" } } tie my $t, "T"', 'my $r = \$t; $$r'),
    "fetch\nEND child\nstatus 255 signal 0\nEND parent\n", 'a value that dies when it is read';
is dying('sub thrower { die "deep\n" }', 'my @x = sort { thrower() } 1, 2; 0'),
    "deep\nEND child\nstatus 255 signal 0\nEND parent\n", 'a die in a sort block';
is dying('', 'warn "careful\n"; 4'), "careful\nstatus 4 signal 0\nEND parent\n", 'a warning is only that';
{
    my $reached = 0;
    my $parent = $$;
    my $pid;
    open my $err, '>&', \*STDERR or die $!;
    open STDERR, '>', '/dev/null' or die $!;
    for my $once (1) {
        eval { eval { $pid = spawn(sub { $! = 0; die "oops\n" }) }; 1 };
        POSIX::_exit(99) if $$ != $parent;
        $reached++;
    }
    open STDERR, '>&', $err or die $!;
    is CloneTest::reap($pid), 'exit 255', 'no eval of the caller sees the die';
    is $reached, 1, 'the caller goes on once';
}

# ---- exits ----

is dying('', 'exit 5'), "END child\nstatus 5 signal 0\nEND parent\n", 'exit: END blocks run';
is dying('', 'exit'), "END child\nstatus 0 signal 0\nEND parent\n", 'exit without a status';
is dying('', 'eval { exit 6 }; print "not reached\n"'), "END child\nstatus 6 signal 0\nEND parent\n", 'no eval stops it';
is dying('', 'print "unflushed "; $| = 0; print "output\n"; exit 7'), "unflushed output\nEND child\nstatus 7 signal 0\nEND parent\n", 'output is flushed';
is dying('END { $? = 9 if $? == 8 }', 'exit 8'), "END child\nstatus 9 signal 0\nEND parent\n", 'an END block changes $?';
is dying('my $o = bless []; sub DESTROY { print "DESTROY ", $$ == $parent ? "parent" : "child", "\n" } our $g = $o', 'exit 3'),
    "END child\nDESTROY child\nstatus 3 signal 0\nEND parent\nDESTROY parent\n", 'destructors run, as in a forked child';
like dying('END { die "in END\n" if $? == 4 }', 'exit 4'), qr/\AEND child\nin END\nEND failed--call queue aborted(?: at -e line \d+)?\.\nstatus 255 signal 0\nEND parent\n\z/,
    'an END block that dies';
is dying('our $o = bless []; sub DESTROY { exit 12 if $$ != $parent }', 'exit 3'),
    "END child\nstatus 12 signal 0\nEND parent\n", 'a destructor that exits';
is dying('', 'my $f = sub { exit 5 }; my @x = map { sort { $f->() } 1, 2 } 1; 0'), "END child\nstatus 5 signal 0\nEND parent\n", 'exit deep inside';

is dying('', 'exit 5', 'local $?'), "END child\nstatus 5 signal 0\nEND parent\n", 'a local $? of the caller does not hide the status';
is dying('', 'die "oops\n"', 'local $?'), "oops\nEND child\nstatus 255 signal 0\nEND parent\n", 'nor that of a die';

# fork says what exit and die must look like
for my $body ('exit 5', '$! = 3; die "x\n"', 'my $x = bless []; exit 1', 'local $v = 2; exit 2', 'our $g = bless []; die "y\n"') {
    my @seen = map {
        my $start = $_;
        scalar perl_output(<<"PERL");
            use Linux::Clone; \$| = 1; our \$v = 1; my \$parent = \$\$; my \$lexical = bless [];
            sub DESTROY { print "DESTROY v=\$v\\n" if \$\$ != \$parent }
            END { print "END v=\$v status=\$?\\n" if \$\$ != \$parent }
            sub start { my \$held = bless []; local \$v = 7; $start }
            \$! = 0;
            my \$pid = start(sub { $body });
            waitpid \$pid, 0; print \$?, "\\n";
PERL
    } 'my $code = shift; my $p = fork; if (!$p) { $code->(); die } return $p', 'Linux::Clone::clone($_[0], 0, 17)';
    is $seen[1], $seen[0], "as a forked child: $body";
}

# ---- returns: no END block, no destructor of the parent's ----

is dying('our $o = bless []; sub DESTROY { print "DESTROY ", $$ == $parent ? "parent" : "child", "\n" }', '2'),
    "status 2 signal 0\nEND parent\nDESTROY parent\n", 'a return runs neither';
is dying('', 'print "lost?"; 1'), "lost?status 1 signal 0\nEND parent\n", 'but output is flushed';

# ---- ends otherwise ----

is status(sub { POSIX::_exit(13) }), 'exit 13', 'POSIX::_exit';
is status(sub { kill KILL => $$; sleep 10 }), 'signal 9', 'SIGKILL';
is status(sub { exec $^X, '-e', 'exit 14' or 15 }), 'exit 14', 'exec';
is status(sub { no warnings 'exec'; exec { '/nonexistent/program' } 'program'; $! == POSIX::ENOENT() ? 16 : 17 }), 'exit 16', 'an exec that fails';
is status(sub { system $^X, '-e', 'exit 18'; $? >> 8 }), 'exit 18', 'system';
is status(sub { `echo 19` + 0 }), 'exit 19', 'backticks';
is status(sub { my $p = fork // die; POSIX::_exit(20) if !$p; waitpid $p, 0; $? >> 8 }), 'exit 20', 'fork';
is status(sub { my $p = spawn(sub { 21 }); waitpid $p, 0; $? >> 8 }), 'exit 21', 'clone';
is status(sub { my $p = spawn(sub { exit 22 }); waitpid $p, 0; $? >> 8 }), 'exit 22', 'clone and exit';
is status(sub { Linux::Clone::unshare(Linux::Clone::FILES) == 0 ? 23 : 24 }), 'exit 23', 'unshare';
is status(sub { require Text::Wrap; length Text::Wrap::wrap('', '', 'x ' x 10) }), 'exit 20', 'require';

# ---- cannot leave ----

for my $leave (qw(last next redo), 'last OUTER', 'next OUTER', 'goto OUTER', 'goto AFTER', 'goto NEXT') {
    my ($output) = perl_output(<<"PERL");
        use Linux::Clone; no warnings; \$| = 1;
        my \$parent = \$\$; my \$pid;
        OUTER: for my \$i (1 .. 2) {
            \$! = 0;
            \$pid = Linux::Clone::clone(sub { $leave; print "went on\\n" }, 0, 17);
            NEXT: print "in the loop ", \$\$ == \$parent ? "parent" : "child", "\\n";
            waitpid \$pid, 0;
            print \$? >> 8, "\\n";
            last;
        }
        AFTER: print "after ", \$\$ == \$parent ? "parent" : "child", "\\n";
PERL
    like $output, qr/\A(?:in the loop parent\n)?(?:Can't|Label not found)[^\n]*\n(?:in the loop parent\n)?255\nafter parent\n\z/,
        "$leave cannot leave the coderef";
}
is status(sub { for (1 .. 3) { return 26 if $_ == 2 } }), 'exit 26', 'return from a loop';
sub other { return 27 }
is status(sub { goto &other }), 'exit 27', 'goto &sub';
is status(sub { my $n = 0; for (1 .. 5) { $n++; last if $_ == 3 } $n }), 'exit 3', 'loops of its own';

# ---- where it is called ----

is_deeply [ map { my $n = $_; status(sub { 30 + $n }) } 1 .. 2 ], [ 'exit 31', 'exit 32' ], 'in a map';
{
    my @pids;
    my @sorted = sort { push @pids, spawn(sub { exit 31 }) if !@pids; $a <=> $b } 3, 1, 2;
    is "@sorted", '1 2 3', 'in a sort block';
    is CloneTest::reap($pids[0]), 'exit 31', 'the child exits';
    my $pid;
    package Cloning { sub TIESCALAR { bless [] } sub FETCH { $pid = CloneTest::spawn(sub { 32 }); 1 } }
    tie my $tied, 'Cloning';
    my $read = $tied;
    is CloneTest::reap($pid), 'exit 32', 'in a tie method';
    package Dropping { sub DESTROY { $pid = CloneTest::spawn(sub { die "\n" if 0; exit 33 }) } }
    { my $object = bless [], 'Dropping' }
    is CloneTest::reap($pid), 'exit 33', 'in a destructor';
    'x' =~ /x(?{ $pid = spawn(sub { 34 }) })/;
    is CloneTest::reap($pid), 'exit 34', 'in a regex';
    eval q{ $pid = spawn(sub { exit 35 }); 1 } or die $@;
    is CloneTest::reap($pid), 'exit 35', 'in a string eval';
    eval q{ BEGIN { $pid = spawn(sub { 36 }) } 1 } or die $@;
    is CloneTest::reap($pid), 'exit 36', 'in a BEGIN block';
    local $SIG{USR1} = sub { $pid = spawn(sub { exit 37 }) };
    kill USR1 => $$;
    is CloneTest::reap($pid), 'exit 37', 'in a signal handler';
    no warnings 'recursion';
    sub deep { my $n = shift; return $n ? deep($n - 1) : spawn(sub { exit 38 }) }
    is CloneTest::reap(deep(200)), 'exit 38', '200 frames deep';
    my $deep = sub { my ($self, $n) = @_; $n ? $self->($self, $n - 1) : 39 };
    is status(sub { $deep->($deep, 5000) }), 'exit 39', '5,000 frames of perl in the child';
}

# In global destruction perl's exit ends the process at once; else each child would destroy the
# same objects, each with a child of its own.
is dying('our $o = bless []; our $n = 0; sub DESTROY { print "DESTROY $n\n"; return if $n++ > 2;
    waitpid Linux::Clone::clone(sub { print "child $n\n"; exit 40 }, 0, 17), 0; print "child exit ", $? >> 8, "\n"; $? = 0 }', '1'),
    "status 1 signal 0\nEND parent\nDESTROY 0\nchild 1\nchild exit 40\n", 'exit in a child that global destruction started';

done_testing;
