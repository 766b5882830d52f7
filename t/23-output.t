# Output: nothing is printed twice, nothing is lost.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use CloneTest;
use File::Temp ();

# Runs a program whose standard output is a file, so that perl buffers it. What it says on STDERR
# follows in brackets.
sub printed {
    my ($program) = @_;
    my $file = File::Temp->new;
    my ($errors) = perl_output(<<'PERL', "$file", "use Linux::Clone; use POSIX (); $program");
        open STDOUT, '>', shift or die $!;
        print STDOUT 'first ';
        my $program = shift;
        eval "$program; 1" or die $@;
PERL
    return slurp("$file") . ($errors eq '' ? '' : "[$errors]");
}
my %ends = (
    'a return'           => 'return 0',
    'an exit'            => 'exit 0',
    'a die'              => 'close STDERR; die',
    'an exec'            => 'exec $^X, "-e", "print q(exec )" or die',
    'an exec that fails' => 'no warnings; exec { "/nonexistent" } "x"; 0',
);
for my $end (sort keys %ends) {
    my $output = printed("waitpid Linux::Clone::clone(sub { print 'child '; $ends{$end} }, 0, 17), 0; print 'parent'");
    is $output, 'first child ' . ($end eq 'an exec' ? 'exec ' : '') . 'parent', "in order, once: $end";
}
is printed('waitpid Linux::Clone::clone(sub { print "child "; POSIX::_exit(0) }, 0, 17), 0; print "parent"'),
    'first parent', 'POSIX::_exit does not flush, as ever';
is printed('waitpid Linux::Clone::clone(sub { $| = 1; print "child "; kill KILL => $$; sleep 9 }, 0, 17), 0; print "parent"'),
    'first child parent', 'unbuffered output of a child that is killed';
is printed('Linux::Clone::clone(sub { 0 }, 0, Linux::Clone::SIGHAND) == -1 or die; print "parent"'), 'first parent', 'a refused clone';
is printed('for my $n (1 .. 3) { waitpid Linux::Clone::clone(sub { print "$n "; waitpid Linux::Clone::clone(sub { print "$n.1 "; 0 }, 0, 17), 0; print "$n.2 "; 0 }, 0, 17), 0 } print "parent"'),
    'first 1 1.1 1.2 2 2.1 2.2 3 3.1 3.2 parent', 'nested';

# Other handles than STDOUT.
{
    my $file = File::Temp->new;
    open my $fh, '>:utf8', "$file" or die $!;
    print {$fh} "before \x{20ac} ";
    is status(sub { print {$fh} "child \x{20ac} "; 5 }), 'exit 5', 'a handle with a layer';
    print {$fh} 'after';
    close $fh or die $!;
    is slurp("$file"), "before \xe2\x82\xac child \xe2\x82\xac after", 'has each text once';
}
{
    my $file = File::Temp->new;
    open my $fh, '>', "$file" or die $!;
    is status(sub { print {$fh} 'scoped '; 0 }), 'exit 0', 'a handle of the caller';
    undef $fh;
    is slurp("$file"), 'scoped ', 'is flushed';
    is status(sub { open my $own, '>', "$file" or return 1; print {$own} 'own'; 0 }), 'exit 0', "the child's own handle";
    is slurp("$file"), 'own', 'is flushed';
}
{
    package Shout;
    sub TIEHANDLE { bless [] }
    sub PRINT { shift; push @main::shouted, @_; 1 }
    package main;
    our @shouted;
    tie *SHOUT, 'Shout';
    is status(sub { print SHOUT 'x'; scalar @shouted }), 'exit 1', 'a tied handle';
    is scalar(@shouted), 0, "is the child's";
}

# Input: the position is shared, and what was read ahead is given back, as with fork.
{
    my $file = File::Temp->new;
    print {$file} map { "$_\n" } 1 .. 3000;
    close $file;
    my @read = map {
        my $start = $_;
        open my $in, '<', "$file" or die $!;
        my @lines = scalar <$in>;
        CloneTest::reap($start->(sub { <$in>; <$in>; 0 }));
        push @lines, scalar <$in>;
        join "", @lines;
    } sub { my $pid = fork // die; return $pid if $pid; exit $_[0]->() }, \&spawn;
    is $read[1], $read[0], 'a file that both read';
}

# Output that cannot be written is a failure, as at perl's own end.
SKIP: {
    open my $full, '>', '/dev/full' or skip kernel_refuses('/dev/full'), 5;
    my ($output) = perl_output(<<'PERL');
        use Linux::Clone; use POSIX ();
        open my $out, '>&', \*STDOUT or die $!;
        for my $status (0, 3) {
            my $pid = Linux::Clone::clone(sub { open my $full, '>', '/dev/full'; POSIX::dup2(fileno $full, 1); print 'lost'; $status }, 0, 17);
            waitpid $pid, 0;
            syswrite $out, 'status ' . ($? >> 8) . "\n";
        }
PERL
    like $output, qr/^Unable to flush stdout: [^\n]+\nstatus (?!0\n)\d+\nUnable to flush stdout: [^\n]+\nstatus 3\n\z/,
        'a full disk behind STDOUT';
    print {$full} 'x';
    $! = 0;
    my $pid = spawn(sub { 6 });
    is $! + 0, 0, 'a handle of the parent that cannot be flushed leaves $!';
    is CloneTest::reap($pid), 'exit 6', 'and the child runs';
    ok !close $full, 'its close tells, as ever';
}

# A layer written in perl that dies while it is flushed: the error of the call, and no child.
SKIP: {
    eval { require PerlIO::via; 1 } or skip 'this perl has no PerlIO::via', 1;
    my ($output) = perl_output(<<'PERL');
        use Linux::Clone;
        package Dying { sub PUSHED { bless [] } sub WRITE { length $_[1] } sub FLUSH { die "no flush\n" if $main::armed; 0 } }
        open my $fh, '>:via(Dying)', '/dev/null' or die "open: $!";
        print {$fh} 'x';
        our $armed = 1;
        my $pid = eval { Linux::Clone::clone(sub { 1 }, 0, 17) };
        my $error = $@;
        $armed = 0;
        print STDOUT defined $pid ? "pid\n" : "died: $error";
        print STDOUT wait, "\n";
PERL
    is $output, "died: no flush\n-1\n", 'a layer that dies';
}

# Descriptors that are shared stay open when the child's handles are closed.
for my $end ('0', 'exit 0', 'die') {
    my ($output) = perl_output(<<"PERL");
        use Linux::Clone; \$| = 1;
        open my \$fh, '<', '/proc/self/stat' or die;
        pipe my \$r, my \$w or die;
        opendir my \$dir, '/proc/self' or die;
        waitpid Linux::Clone::clone(sub { \$SIG{__DIE__} = sub { exit 1 }; $end }, 0, 17 | Linux::Clone::FILES), 0;
        print defined <\$fh> ? 'open ' : "closed \$! ";
        syswrite \$w, 'x' or print "pipe \$! ";
        print readdir \$dir ? 'directory ' : "no directory \$! ";
        print "here\\n";
PERL
    is $output, "open directory here\n", "FILES: the parent's descriptors survive '$end'";
}

done_testing;
