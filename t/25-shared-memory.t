# VM|VFORK: the child runs in the parent's memory while the parent sleeps. Wherever it stops, the
# parent goes on as after an ordinary call.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use CloneTest qw(:DEFAULT shared);
use POSIX qw(SIGCHLD);
use ProcessTest qw(%namespace_file eventually);
no warnings qw(exec recursion);

my $shared = Linux::Clone::VM | Linux::Clone::VFORK;
my $null = POSIX::open('/dev/null', POSIX::O_WRONLY()) // die "/dev/null: $!";

# ---- each end, in each construct of perl, started from each construct ----

sub overflow { my @s = sort { overflow() } 1, 2; return @s }
my %ends = (
    'return'         => [ sub { 5 }, 'exit 5' ],
    'die'            => [ sub { POSIX::dup2($null, 2); $! = 7; die "x\n" }, 'exit 7' ],
    'exit'           => [ sub { exit 6 }, 'exit 6' ],
    '_exit'          => [ sub { POSIX::_exit(8) }, 'exit 8' ],
    'exec'           => [ sub { exec '/bin/sh', '-c', 'exit 9' }, 'exit 9' ],
    'exec that fails' => [ sub { exec { '/nonexistent' } 'x'; $!{ENOENT} ? 10 : 11 }, 'exit 10' ],
    'SIGKILL'        => [ sub { kill KILL => $$; sleep 9 }, 'signal 9' ],
    'stack overflow' => [ sub { overflow() }, 'signal 11' ],
);

package Tied       { sub TIESCALAR { bless [ $_[1] ] } sub FETCH { $_[0][0]->() } }
package Overloaded { use overload '""' => sub { $_[0][0]->() }, '+' => sub { $_[0][0]->() }, fallback => 1 }
# An object whose DESTROY does not come to its end is never freed, and destroyed again at the end.
package Destroyed  { sub DESTROY { $main::destroyed = $_[0][0]->() if ${^GLOBAL_PHASE} ne 'DESTRUCT' } }
package main;

our ($global, $signal, $destroyed, $required, $code) = ('outer', '');
our @list = (1, 2, 3);
our %hash = (key => 'outer');
unshift @INC, sub {
    my ($self, $file) = @_;
    return if $file ne 'Hooked.pm';
    my $source = 'package Hooked; $main::required = $main::code->(); 1;';
    open my $fh, '<', \$source or die $!;
    return $fh;
};

# Each runs the code inside of a construct and returns what it returns.
my %in = (
    'a sub'        => sub { my ($code) = @_; my @pad = (1 .. 5); my $value = $code->(); @pad == 5 or die; return $value },
    'eval'         => sub { my ($code) = @_; my $value = eval { $code->() }; die $@ if $@; return $value },
    'string eval'  => sub { my ($code) = @_; my $value = eval q{ my $inner = $code->(); $inner }; die $@ if $@; return $value },
    'sort'         => sub {
        my ($code) = @_;
        my $value;
        my @sorted = sort { $value //= $code->(); $a <=> $b } 3, 1, 2;
        "@sorted" eq '1 2 3' or die "@sorted";
        return $value;
    },
    'map'          => sub { my ($code) = @_; my @values = map { $_ == 2 ? $code->() : () } 1 .. 3; return $values[0] },
    'grep'         => sub { my ($code) = @_; my $value; my @found = grep { $_ == 2 and $value = $code->() } 1 .. 3; return $value },
    'foreach'      => sub {
        my ($code) = @_;
        my ($value, $turns);
        for my $outer (1 .. 2) { for (1 .. 3) { $turns++; $value = $code->() if $outer == 1 && $_ == 2 } }
        $turns == 6 or die "$turns turns";
        return $value;
    },
    'local'        => sub {
        my ($code) = @_;
        local $global = 'inner';
        local @list = ('inner');
        local $hash{key} = 'inner';
        local $_ = 'inner';
        local $/ = undef;
        my $value = $code->();
        "$global @list $hash{key} $_" eq 'inner inner inner inner' or die "$global @list $hash{key} $_";
        return $value;
    },
    'a regex'      => sub {
        my ($code) = @_;
        my $value;
        'xabcx' =~ /(b)(?{ $value = $code->() })c/ or die 'no match';
        $1 eq 'b' or die "\$1 is $1";
        return $value;
    },
    's///e'        => sub { my ($code) = @_; my $string = 'abc'; my $value; $string =~ s/(b)/$value = $code->(); uc $1/e; $string eq 'aBc' or die $string; return $value },
    'tie'          => sub { my ($code) = @_; tie my $tied, 'Tied', $code; my $value = $tied; return $value },
    'overloading'  => sub { my ($code) = @_; my $object = bless [$code], 'Overloaded'; return "$object" },
    'DESTROY'      => sub { my ($code) = @_; local $destroyed; { my $object = bless [$code], 'Destroyed' } return $destroyed },
    'require'      => sub { my ($code) = @_; local $main::code = $code; local $required; delete $INC{'Hooked.pm'}; require Hooked; return $required },
    'a handler'    => sub {
        my ($code) = @_;
        my $value;
        # a handler's own signal waits until it is left
        local $main::signal = $main::signal eq 'USR1' ? 'USR2' : 'USR1';
        local $SIG{$main::signal} = sub { $value = $code->() };
        kill $main::signal => $$;
        return $value;
    },
    'recursion'    => sub {
        my ($code) = @_;
        my $down;
        $down = sub { my ($n) = @_; my $mine = $n; my $value = $n ? $down->($n - 1) : $code->(); $mine == $n or die; return $value };
        my $value = $down->(20);
        undef $down;
        return $value;
    },
);

# What must be as it was.
sub recursive { my ($n) = @_; my @pad = ($n) x 3; return $n ? $pad[1] + recursive($n - 1) : 0 }
sub state_of {
    my $depth = 0;
    $depth++ while caller $depth;
    return join ' ', $depth, recursive(10), "$global @list $hash{key}", wantarray ? 'list' : 'scalar', "@_", map { $_ // 'undef' } $1, $@,
        $! + 0, $?;
}

for my $outer (sort keys %in) {
    my @wrong;
    for my $inner (sort keys %in) {
        for my $end (sort keys %ends) {
            my ($code, $expected) = @{ $ends{$end} };
            # an exception in DESTROY is a warning
            next if $inner eq 'DESTROY' && $end eq 'die';
            my ($got, $before, $after);
            $got = $in{$outer}->(sub {
                # what a handler was interrupted in does not count
                'match' =~ /(t)/;
                local $@ = 'error';
                my $pid;
                $! = 3;
                $? = 0;
                $before = state_of('a', 'b');
                $pid = Linux::Clone::clone(sub { $in{$inner}->($code) }, 256 << 10, $shared | SIGCHLD);
                $after = state_of('a', 'b');
                return CloneTest::reap($pid);
            });
            push @wrong, "$end in $inner: $got, not $expected" if $got ne $expected;
            push @wrong, "$end in $inner: state $after, was $before" if $after ne $before;
            push @wrong, "$end in $inner: outside $global @list $hash{key}" if "$global @list $hash{key}" ne 'outer 1 2 3 outer';
        }
    }
    is_deeply \@wrong, [], "started in $outer: each end, in each construct";
}

# ---- the parent's state ----

{
    my $string = 'aXbXc';
    $string =~ /X/g;
    my $position = pos $string;
    sub context { my $pid = Linux::Clone::clone(sub { exec 'true' }, 0, $shared | SIGCHLD); waitpid $pid, 0; return wantarray ? 'list' : defined wantarray ? 'scalar' : 'void' }
    is_deeply [ scalar context(), context() ], [ 'scalar', 'list' ], 'wantarray';
    is pos $string, $position, 'pos';
    sub arguments { my $pid = Linux::Clone::clone(sub { my @x = map { exec 'true' } 1; }, 0, $shared | SIGCHLD); waitpid $pid, 0; return "@_" }
    is arguments(1, 2, 3), '1 2 3', '@_';
    my @temporaries = map { my $pid = Linux::Clone::clone(sub { my @a = map { "x$_" } 1 .. 50; exec 'true' }, 0, $shared | SIGCHLD); waitpid $pid, 0; "value $_" } 1 .. 3;
    is "@temporaries", 'value 1 value 2 value 3', 'temporaries';
    is join(',', 'a', shared(sub { exec 'true' }), 'b'), 'a,exit 0,b', "the caller's stack";
    sub deep { my ($n) = @_; return $n ? deep($n - 1) : shared(sub { my $down; $down = sub { $_[0] ? $down->($_[0] - 1) : exec 'true' }; $down->(200) }) }
    is deep(200), 'exit 0', '200 frames deep on either side';
    is deep(200), 'exit 0', 'and again';
    is recursive(300), 300 * 301 / 2, 'recursion afterwards';
    my $code;
    $code = sub { my ($n) = @_; my $own = $n; shared(sub { $own = "child $n"; $code->($n - 1) if $n; exec 'true' }); return $own };
    is $code->(2), 'child 2', 'the same sub, recursively, here and there';
    undef $code;
    is eval { shared(sub { eval { exec 'true' } }); die "after\n"; 1 } // $@, "after\n", 'an exception afterwards finds its eval';
    my $loops = 0;
    for my $n (1 .. 3) { shared(sub { for (1 .. 3) { exec 'true' } }); $loops++; next if $n == 2 }
    is $loops, 3, 'loop control afterwards';
    is $^S, 0, '$^S';
    is eval { shared(sub { exec 'true' }); my $s = $^S; $s }, eval { my $s = $^S; $s }, '$^S in an eval';
    is eval q{ BEGIN { shared(sub { eval q{ BEGIN { exec 'true' } } }) } 'compiled' }, 'compiled', 'in the middle of compiling, on both sides';
}

# ---- what is shared stays shared ----

{
    my ($scalar, @array, %hash) = ('parent');
    is shared(sub { $scalar = 'child'; push @array, 1, 2; $hash{key} = [ 'deep', { x => 'y' } ]; exec 'true' }), 'exit 0', 'a child that assigns';
    is "$scalar @array $hash{key}[1]{x}", 'child 1 2 y', 'assigns for its parent too';
    is shared(sub { eval 'sub defined_in_child { "defined" } 1' or die }), 'exit 1', 'a child that compiles';
    is eval { defined_in_child() }, 'defined', 'compiles for its parent too';
    is shared(sub { require Text::Abbrev; exit 0 }), 'exit 0', 'a child that loads a module';
    ok $INC{'Text/Abbrev.pm'} && defined &Text::Abbrev::abbrev, 'loads it for its parent too';

    is shared(sub { our $package_variable = 'set'; 0 }), 'exit 0', 'package variables';
    is our $package_variable, 'set', 'too';
    is shared(sub { $! = 5; $@ = 'child'; $? = 3; 'z' =~ /(z)/; 0 }), 'exit 0', 'but $!, $@, $? and $1';

    pipe my $read, my $write or die $!;
    my $fd = fileno $write;
    is shared(sub { close $write; 0 }), 'exit 0', 'a handle that the child closes';
    is fileno $write, $fd, 'is open in the parent';
    ok -e "/proc/self/fd/$fd", 'and so is its descriptor';
    close $write;
    is shared(sub { POSIX::close(fileno $read); 0 }), 'exit 0', 'a descriptor that the child closes';
    is sysread($read, my $buffer, 1), 0, "is open in the parent, and so is the handle";
    {
        # a handle that the child opens is none of the parent's descriptors
        my @warnings;
        local $SIG{__WARN__} = sub { push @warnings, @_ };
        my $fds = descriptors();
        my @kept;
        for my $end (sub { 0 }, sub { kill KILL => $$; sleep 9 }, sub { exec 'true' }) {
            shared(sub { pipe my $r, my $w or die; open my $file, '<', '/dev/null' or die; open $kept[@kept], '<', '/dev/null' or die; syswrite $w, 'x'; $end->() });
        }
        is_deeply \@warnings, [], 'handles that the child opens, and leaves in its frames, go without a warning';
        is scalar(@kept), 3, 'those that it keeps are there';
        ok !(grep { defined readline $_ } @kept), 'but have no file here';
        # the number is kept with the handle: another file that got it would not be closed
        pipe my $read, my $write or die $!;
        ok !(grep { fileno $_ == fileno $read || fileno $_ == fileno $write } @kept), 'nor get one';
        close $write;
        is sysread($read, my $byte, 1), 0, "the parent's own are closed";
        close $read;
        close $_ for @kept;
        is descriptors(), $fds, 'and no descriptor is left';
    }
    {
        # nor is a directory handle, whoever has its number when it is freed
        my $dir;
        shared(sub { opendir $dir, '/proc/self' or die; readdir $dir; 0 });
        open my $file, '<', '/proc/self/stat' or die $!;
        undef $dir;
        ok defined readline $file, 'a directory handle of the child closes no file of the parent';
        my $fds = descriptors();
        shared(sub { opendir my $own, '/proc/self' or die; readdir $own; $_[0] ? 0 : exec 'true' }) for 1 .. 3;
        is descriptors(), $fds, 'and leaves no descriptor';
        is shared(sub { for (1 .. 50) { opendir my $own, '/proc/self' or return 1; readdir $own } -e '/proc/self/fd/30' ? 2 : 3 }), 'exit 3',
            'in the child it is closed as ever';
    }
    is shared(sub { chdir '/proc'; umask 0; 0 }), 'exit 0', 'the working directory';
    isnt readlink('/proc/self/cwd'), '/proc', 'is not shared';
}

# ---- objects, END blocks ----

{
    my @gone;
    package Witness { sub new { bless [ $_[1] ] } sub DESTROY { push @gone, "$_[0][0] in " . ($$ == $main::parent ? 'parent' : 'child') } }
    our $parent = $$;
    my $kept = Witness->new('kept');
    for my $end (sort keys %ends) {
        @gone = ();
        my $got = shared(sub { my $captured = $kept; my $own = Witness->new('own'); $ends{$end}[0]->() }, 0, 256 << 10);
        is $got, $ends{$end}[1], "an object and $end";
        my $where = $end =~ /^(?:return|die|exit|exec that fails)$/ ? 'child' : 'parent';
        # it is nobody's any more, wherever the last frame that held it was left
        is_deeply [ sort @gone ], ["own in $where"], "the child's own object goes once, in the $where, and no other";
    }
    undef $kept;
    is_deeply \@gone, [ 'own in parent', 'kept in parent' ], "the parent's goes when the parent lets it go";

    my ($output) = perl_output(<<'PERL');
        use Linux::Clone; use POSIX (); $| = 1;
        my $parent = $$;
        END { print "END ", $$ == $parent ? 'parent' : 'child', "\n" }
        our $global = bless []; sub DESTROY { print "DESTROY ", $$ == $parent ? 'parent' : 'child', "\n" }
        for my $end (sub { 0 }, sub { exit 1 }, sub { close STDERR; die }, sub { exec 'true' }) {
            waitpid Linux::Clone::clone($end, 0, Linux::Clone::VM | Linux::Clone::VFORK | 17), 0;
        }
        print "done\n";
PERL
    is $output, "done\nEND parent\nDESTROY parent\n", 'END blocks and global destruction are the parent\'s';

    ($output) = perl_output(<<'PERL');
        use Linux::Clone; $| = 1;
        package Exits { sub DESTROY { print "destructor\n"; exit 23 } }
        END { print "END $?\n" }
        eval { waitpid Linux::Clone::clone(sub { my $o = bless [], 'Exits'; exec 'true' }, 0, Linux::Clone::VM | Linux::Clone::VFORK | 17), 0; };
        print "not reached\n";
PERL
    like $output, qr/^destructor\nEND 23\n(?:destructor\n)?\z/, 'a destructor that exits while the parent cleans up ends the parent';
    ($output) = perl_output(<<'PERL');
        use warnings; use Linux::Clone; $| = 1;
        package Dies { sub DESTROY { die "destructor\n" } }
        my $pid = Linux::Clone::clone(sub { my $o = bless [], 'Dies'; exec 'true' }, 0, Linux::Clone::VM | Linux::Clone::VFORK | 17);
        print $pid > 0 ? "goes on\n" : "no\n";
PERL
    like $output, qr/^\t\(in cleanup\) destructor\n(?: at -e line \d+\.\n)?goes on\n\z/, 'one that dies warns, as ever';
}

# ---- what throws while the parent cleans up ----

{
    my ($output) = perl_output(<<'PERL');
        use Linux::Clone; $| = 1;
        package Strict { sub TIEHASH { bless {} } sub EXISTS { 1 } sub FETCH { 1 } sub STORE { die "store\n" if $main::strict } }
        tie my %tied, 'Strict';
        our $strict = 0;
        eval { waitpid Linux::Clone::clone(sub { local $tied{x} = 2; $strict = 1; exec 'true' }, 0, Linux::Clone::VM | Linux::Clone::VFORK | 17), 0; print "status $?\n" };
        $strict = 0;
        print "goes on $@\n";
PERL
    is $output, "store\nstatus 0\ngoes on \n", 'an exception is printed, and the parent goes on';
}

# ---- a guest whose host is killed ----

{
    my @wrong;
    for my $turn (1 .. 20) {
        my ($host, $worked) = (0, 0);
        my $got = shared(sub {
            local $global = 'host';
            $host = $$;
            my @pad = map { [$_] } 1 .. 20;
            shared(sub {
                local $global = 'guest';
                kill KILL => $host;
                for (1 .. 5000) { my %h = map { ($_ => [1]) } 1 .. 20; my @s = sort keys %h }
                $worked++;
                return 0;
            });
            return 0;
        });
        push @wrong, "worked $worked" if $worked;
        my @after = ($global, recursive(20), join ',', sort { $a <=> $b } 3, 1, 2);
        push @wrong, "$got @after" if "$got @after" ne 'signal 9 outer 210 1,2,3';
        select undef, undef, undef, 0.01;
        push @wrong, "worked $worked later" if $worked;
    }
    is_deeply \@wrong, [], 'the parent waits until the guest is gone, too, and cleans up both';
    is shared(sub { my $host = $$; shared(sub { exec 'sh', '-c', 'sleep 0.3; exit 5' }); kill KILL => $$; sleep 9 }), 'signal 9',
        'a program that a guest of a guest has become';
    pipe my $read, my $write or die $!;
    my $fd = fileno $write;
    shared(sub { shared(sub { POSIX::dup2($fd, 1); exec 'sh', '-c', 'sleep 0.2; echo alive' }); 0 }) for 1;
    close $write;
    # the host waits for nobody: it is gone, and its guest's program goes on
    is readline($read), "alive\n", 'outlives its host';
}

# ---- messages and statuses ----

for my $case (
    [ 'die "oops\n"',                   "oops\n",            255 ],
    [ '$! = 4; die "oops\n"',           "oops\n",            4 ],
    [ '$! = 0; $? = 3 << 8; die "x\n"', "x\n",               3 ],
    [ '$SIG{__DIE__} = sub { print STDERR "hook $_[0]" }; die "x\n"', "hook x\nx\n", 255 ],
    [ '$SIG{__DIE__} = sub { die "other $_[0]" }; die "x\n"', "other x\n", 255 ],
    [ 'die bless [], "Object"',         "object\n",          255 ],
    [ 'eval { die "caught\n" }; 3',     '',                  3 ],
    [ 'no warnings; last',              "Can't \"last\" outside a loop block at -e line 4.\n", 255 ],
    [ 'goto OUT',                       "Can't find label OUT at -e line 4.\n", 255 ],
    [ 'return 300',                     '',                  44 ],
    [ 'undef',                          '',                  0 ],
    [ '"3x"',                              "Argument \"3x\" isn't numeric in subroutine entry at -e line 4.\n", 3 ],
    [ 'warn "careful\n"; 2',            "careful\n",         2 ],
  )
{
    my ($body, $message, $status) = @$case;
    my ($output) = perl_output(<<"PERL");
        use warnings; use Linux::Clone; \$| = 1; { package Object; use overload '""' => sub { "object\\n" } }
        for my \$turn (1) { eval { \$! = 0; my \$pid =
            Linux::Clone::clone(
                sub { $body }, 0, Linux::Clone::VM | Linux::Clone::VFORK | 17);
            waitpid \$pid, 0; print \$? >> 8, " here\\n"; } }
        OUT: print \$@;
PERL
    is $output, "$message$status here\n", "as in a child with its own memory: $body";
}

# ---- output ----

{
    require File::Temp;
    my %order = (
        'a return'      => 'return 0',
        'an exit'       => 'exit 0',
        'a die'         => 'POSIX::close(2); die',
        'a kill'        => 'kill KILL => $$; sleep 9',
        '_exit'         => 'POSIX::_exit(0)',
        'an exec'       => 'exec $^X, "-e", "print q(exec )"',
    );
    for my $end (sort keys %order) {
        my $file = File::Temp->new;
        perl_output(<<"PERL", "$file");
            use Linux::Clone; use POSIX ();
            open STDOUT, '>', shift or die;
            print 'first ';
            for my \$n (1, 2) {
                waitpid Linux::Clone::clone(sub { print "child \$n "; $order{$end} }, 0, Linux::Clone::VM | Linux::Clone::VFORK | 17), 0;
                print "parent \$n ";
            }
PERL
        my $exec = $end eq 'an exec' ? 'exec ' : '';
        my @child = map { $end =~ /kill|_exit/ ? '' : "child $_ $exec" } 1, 2;
        # as after fork: nobody else knows which file it was meant for
        is slurp("$file"), "first $child[0]parent 1 $child[1]parent 2 ", "output appears once, in order, if it has been written: $end";
    }
    # what the parent has printed goes where the parent's output goes
    my ($file, $other) = (File::Temp->new, File::Temp->new);
    perl_output(<<'PERL', "$file", "$other");
        use Linux::Clone; use POSIX ();
        open STDOUT, '>', shift or die;
        open my $out, '>', shift or die;
        print 'before ';
        waitpid Linux::Clone::clone(sub { POSIX::dup2(fileno $out, 1); exec 'echo', 'redirected' }, 0, Linux::Clone::VM | Linux::Clone::VFORK | 17), 0;
        print 'after';
PERL
    is slurp("$file"), 'before after', 'a redirected child leaves the output of its parent';
    is slurp("$other"), "redirected\n", 'and has its own';
}

# ---- exec, system, fork, clone inside ----

{
    pipe my $read, my $write or die $!;
    my $fd = fileno $write;
    is shared(sub { exec $^X, '-e', 'exit(-e "/proc/self/fd/$ARGV[0]" ? 1 : 0)', $fd }), 'exit 0', 'handles are close-on-exec';
    is shared(sub { exec { '/nonexistent' } 'x'; exec $^X, '-e', 'exit 12' }), 'exit 12', 'an exec that fails returns, and another works';
    is shared(sub { system($^X, '-e', 'exit 13') >> 8 }), 'exit 13', 'system';
    is shared(sub { my $out = `echo 14`; $out + 0 }), 'exit 14', 'backticks';
    is shared(sub { open my $pipe, '-|', 'echo 15' or die; my $line = <$pipe>; close $pipe; $line + 0 }), 'exit 15', 'a pipe';
    is shared(sub { my $p = fork // die; exit 16 if !$p; waitpid $p, 0; $? >> 8 }), 'exit 16', 'fork and exit';
    is shared(sub { my $p = fork // die; return 17 if !$p; waitpid $p, 0; $? >> 8 }), 'exit 17', 'fork, whose child returns from the coderef';
    my $variable = 'parent';
    is shared(sub { my $p = fork // die; if (!$p) { $variable = 'grandchild'; POSIX::_exit(18) } waitpid $p, 0; $? >> 8 }), 'exit 18', 'fork';
    is $variable, 'parent', 'has memory of its own';
    is shared(sub { status(sub { $variable = 'grandchild'; 19 }) eq 'exit 19' ? 19 : 1 }), 'exit 19', 'clone with its own memory';
    is shared(sub { status(sub { exit 20 }) eq 'exit 20' ? 20 : 1 }), 'exit 20', 'that exits';
    is $variable, 'parent', 'leaves the variables';
    is shared(sub { shared(sub { $variable = 'guest of a guest'; exec 'sh', '-c', 'exit 21' }) eq 'exit 21' ? 21 : 1 }), 'exit 21', 'another child in the same memory';
    is $variable, 'guest of a guest', 'shares them';
    my $levels = 0;
    my $nest;
    $nest = sub { my ($n) = @_; $levels++; return $n if !$n; local $global = "level $n"; my $end = shared(sub { $nest->($n - 1); exec 'sh', '-c', "exit $n" }); $end eq "exit $n" or die $end; $global eq "level $n" or die $global; return $n };
    $nest->(10);
    is $levels, 11, 'ten levels deep';
    is $global, 'outer', 'with each local value restored';
    undef $nest;
    is shared(sub { Linux::Clone::unshare(Linux::Clone::FS) == 0 ? 22 : 1 }), 'exit 22', 'unshare';
    is shared(sub { my @pids = map { spawn(sub { exec 'true' }, $shared) } 1 .. 3; my $n = 0; $n += waitpid($_, 0) == $_ for @pids; $n }), 'exit 3', 'several';
}

# ---- who is who ----

{
    my ($parent, $pid, $ppid) = ($$);
    my $child = spawn(sub { ($pid, $ppid) = ($$, getppid); 0 }, $shared);
    CloneTest::reap($child);
    is $pid, $child, '$$ in the child';
    is $ppid, $parent, 'getppid';
    is $$, $parent, '$$ in the parent';
    my $ptid;
    $child = Linux::Clone::clone(sub { 0 }, 0, $shared | SIGCHLD, $ptid);
    CloneTest::reap($child);
    is $ptid, $child, '$ptid';
    my $ready = 0;
    $child = Linux::Clone::clone(sub { exec 'sleep', 20 }, 0, $shared | SIGCHLD);
    is waitpid($child, POSIX::WNOHANG()), 0, 'the caller goes on once the child has called exec';
    kill KILL => $child;
    is CloneTest::reap($child), 'signal 9', 'and can kill it';
    is Linux::Clone::clone(sub { 1 }, 0, $shared | Linux::Clone::THREAD | SIGCHLD), -1, 'a refused clone';
    is $! + 0, POSIX::EINVAL(), 'with $!';
    is recursive(10), 55, 'leaves all as it was';
    ok !eval { Linux::Clone::clone(sub { 1 }, 0, Linux::Clone::VM | SIGCHLD); 1 }, 'VM without VFORK';
    like $@, qr/use VM\|VFORK/, 'croaks with a sentence that says what to use';
}
SKIP: {
    my $pidfd;
    my $child = Linux::Clone::clone(sub { exec 'sleep', 20 }, 0, $shared | Linux::Clone::PIDFD | SIGCHLD, $pidfd);
    skip kernel_refuses('PIDFD'), 1 if $child == -1;
    is fd_field($pidfd, 'Pid'), $child, 'PIDFD';
    kill KILL => $child;
    CloneTest::reap($child);
    POSIX::close($pidfd);
}

# ---- other flags ----

for my $name (qw(FILES FS SYSVSEM IO PTRACE UNTRACED)) {
    is shared(sub { 30 }, Linux::Clone->can($name)->()), 'exit 30', "with $name";
    is shared(sub { exec 'sh', '-c', 'exit 31' }, Linux::Clone->can($name)->()), 'exit 31', "with $name, and exec";
}
for my $name (sort keys %namespace_file) {
    my $file = $namespace_file{$name};
    SKIP: {
        my $flags = namespace_flags(Linux::Clone->can($name)->());
        needs($flags, 2);
        my ($own, $new, $id) = (readlink "/proc/self/ns/$file");
        is shared(sub { $new = readlink "/proc/self/ns/$file"; $id = $$; 0 }, $flags), 'exit 0', "with $name";
        ok $new =~ /^$file:\[\d+\]$/ && $new ne $own && ($name ne 'NEWPID' || $id == 1), 'a namespace of its own';
    }
}
{
    my $fd;
    is shared(sub { $fd = POSIX::open('/dev/null'); 0 }, Linux::Clone::FILES), 'exit 0', 'with FILES a descriptor that the child opens';
    ok POSIX::close($fd), "is its parent's too";
    is shared(sub { exit 0 }, Linux::Clone::FILES), 'exit 0', 'an exit';
    ok -e '/proc/self/fd/1', 'closes none';
}

# ---- handles that the child opens and leaves ----

{
    # the parent's own file of the same number, and one that a destructor opens while the frames are left
    package Opens { sub new { my ($class, $keep) = @_; return bless { keep => $keep }, $class }
        sub DESTROY { my ($self) = @_; open my $fh, '<', '/proc/self/status' or die $!; ${ $self->{keep} } = $fh if $self->{keep} } }
    my $before = descriptors();
    for my $code (
        sub { my $opens = Opens->new; open my $fh, '<', '/dev/null' or die $!; exec '/bin/true' },
        sub { open my $fh, '<', '/dev/null' or die $!; my $opens = Opens->new; exec '/bin/true' },
        )
    {
        is join(' ', map { shared($code) } 1 .. 5), join(' ', ('exit 0') x 5), 'a destructor opens a file while the parent leaves the frames';
        is descriptors(), $before, 'and closes it';
    }
    my $kept;
    is shared(sub { my $opens = Opens->new(\$kept); open my $fh, '<', '/dev/null' or die $!; exec '/bin/true' }), 'exit 0', 'one that it keeps';
    like scalar <$kept>, qr/^Name:/, 'is the parent\'s';
    undef $kept;
    my $files = Linux::Clone::FILES;
    for my $row ([ 'the default layer', '<', 0 ], [ ':stdio', '<:stdio', 0 ], [ 'FILES and unshare', '<', $files ]) {
        my ($what, $mode, $flags) = @$row;
        my $handle;
        is shared(sub { Linux::Clone::unshare($files) == 0 or return 9 if $flags; open $handle, $mode, '/dev/zero' or return 8; 0 }, $flags), 'exit 0', "a handle that the child keeps: $what";
        open my $own, '<', '/proc/self/status' or die $!;
        is eval { fileno $handle } // -1, -1, 'has no descriptor here';
        ok !defined(eval { no warnings; local $/ = \10; <$handle> }), 'nothing to be read';
        eval { no warnings; close $handle };
        like scalar <$own>, qr/^Name:/, 'and its number may be a file\'s of the parent';
    }
    is descriptors(), $before, 'nothing is left open';
    # to perl a pipe of open is more than a file: close waits for the program
    my %rid = (
        'close'  => sub { close $_[0]; return '' },
        'undef'  => sub { undef $_[0]; return '' },
        'reopen' => sub { open $_[0], '<', '/proc/self/status' or return $!; return readline($_[0]) =~ /^Name:/ ? '' : 'another file' },
    );
    for my $mode ('-|', '|-') {
        for my $way (sort keys %rid) {
            my $pipe;
            is shared(sub { open $pipe, $mode, '/bin/true' or return 8; 7 }), 'exit 7', "a pipe of open, $mode, that the child keeps";
            is eval { fileno $pipe } // -1, -1, 'has no descriptor here';
            no warnings;
            is eval { $rid{$way}->($pipe) } // $@, '', "$way";
        }
        my ($output, $status) = perl_output(<<'PERL', $mode);
            use Linux::Clone; use POSIX ();
            for my $end (sub { exec '/bin/true' }, sub { POSIX::_exit(0) }, sub { kill KILL => $$ }) {
                waitpid Linux::Clone::clone(sub { open my $pipe, $ARGV[0], '/bin/true' or die $!; $end->() }, 0, Linux::Clone::VM | Linux::Clone::VFORK | 17), 0;
                print "$?\n";
            }
            open my $own, '-|', 'sh', '-c', 'exit 3';
            waitpid Linux::Clone::clone(sub { open $main::pipe, $ARGV[0], '/bin/true' or die $!; 0 }, 0, Linux::Clone::VM | Linux::Clone::VFORK | 17), 0;
            close $main::pipe;
            close $own;
            print "$?\n";
PERL
        is $output, "0\n0\n9\n768\n", 'one in its frames, and beside one of the parent\'s';
        is $status, 0, 'its status';
    }
    is descriptors(), $before, 'nothing is left open';
    {
        # the C library writes at exit what is in its buffers
        my ($output) = perl_output(<<'PERL', my $file = File::Temp->new);
            use Linux::Clone; use POSIX ();
            waitpid Linux::Clone::clone(sub { open $main::handle, '>:stdio', '/dev/null' or die $!; print $main::handle 'of the child'; $main::fd = fileno $main::handle; POSIX::_exit(0) }, 0, Linux::Clone::VM | Linux::Clone::VFORK | 17), 0;
            my $fd = POSIX::open($ARGV[0], POSIX::O_WRONLY()) // die $!;
            print $fd == $main::fd ? 'the same number' : "$fd, not $main::fd";
PERL
        is $output, 'the same number', 'a file of the parent\'s with the number of a :stdio handle of the child\'s';
        is -s "$file", 0, 'gets nothing of what that left';
    }
    my $dir;
    is join(' ', map { shared(sub { opendir $dir, '/proc' or return 8; return readdir $dir ? 0 : 9 }) } 1 .. 3), join(' ', ('exit 0') x 3), 'a directory handle, in one child after the other';
    undef $dir;
    shared(sub { opendir $dir, '/proc' or return 8; 0 });
    open my $own, '<', '/proc/self/status' or die $!;
    ok !eval { no warnings; closedir $dir }, 'one that the child has left is not open';
    like scalar <$own>, qr/^Name:/, 'and its number may be a file\'s of the parent';
    close $own;
    shared(sub { opendir $dir, '/proc' or return 8; 0 });
    ok opendir($dir, '/proc'), 'the parent opens it anew';
    undef $dir;
    is join(' ', map { shared(sub { opendir $dir, '/proc' or return 8; 0 }, $files) . (undef $dir, '')[1] } 1 .. 3), join(' ', ('exit 0') x 3), 'with FILES';
    is descriptors(), $before, 'nothing is left open';
}

# ---- signals in the copy that a destructor makes ----

{
    my $end;
    package Forks { sub DESTROY {
        defined(my $pid = fork) or die $!;
        if (!$pid) {
            local $SIG{ALRM} = sub { POSIX::_exit(3) };
            POSIX::sigprocmask(POSIX::SIG_UNBLOCK(), POSIX::SigSet->new(POSIX::SIGALRM()));
            kill ALRM => $$;
            1 for 1 .. 10;
            POSIX::_exit(4);
        }
        waitpid $pid, 0;
        $end = $? >> 8;
    } }
    is shared(sub { my $forks = bless {}, 'Forks'; exec '/bin/true' }), 'exit 0', 'a destructor that forks';
    is $end, 3, 'whose process handles its signals';
}

# ---- THREAD ----

{
    my ($value, $pid, $tid) = ('parent');
    my $thread = Linux::Clone::THREAD | Linux::Clone::SIGHAND | $shared;
    my $child = Linux::Clone::clone(sub { $value = 'thread'; $pid = $$; $tid = readlink '/proc/thread-self'; 5 }, 0, $thread);
    cmp_ok $child, '>', 0, 'THREAD|SIGHAND|VM|VFORK';
    is $value, 'thread', 'has run when clone returns';
    is $pid, $$, 'in the same process';
    is $tid, "$$/task/$child", 'as a thread whose id clone returns';
    is waitpid($child, 0), -1, 'nothing to wait for';
    for my $end (sub { exit 4 }, sub { 0 }) {
        Linux::Clone::clone($end, 0, $thread);
    }
    pass 'exit ends the thread alone';
    ok eventually(2, sub { !-e "/proc/self/task/$child" }), 'the thread is gone';
    # which a process with several threads may not
    is status(sub {
        my $refused = 0;
        for (1 .. 200) {
            Linux::Clone::clone(sub { 0 }, 0, $thread) > 0 or return 201;
            Linux::Clone::unshare(Linux::Clone::VM) == 0 or $refused++;
        }
        return $refused;
    }), 'exit 0', 'each time when clone returns, for unshare as well';
    is recursive(10), 55, 'and the parent goes on';
}

done_testing;
