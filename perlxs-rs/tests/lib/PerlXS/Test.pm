package PerlXS::Test;

# Loads the test extension; `use PerlXS::Test` is all that a test file needs. Arms its alarm.

use strict;
use warnings;

use File::Basename ();
use File::Spec;

our $VERSION = '0.01';

BEGIN {
    my $tests = File::Spec->rel2abs(File::Basename::dirname(__FILE__) . '/../..');
    # not tainted: a test may run in taint mode
    unshift @INC, ($ENV{PERLXS_TEST_LIB} // "$tests/blib/arch") =~ /(.*)/s;
}

require XSLoader;
XSLoader::load('PerlXS::Test', $VERSION);

sub import {
    my $package = shift;
    alarm 120 * ($ENV{TEST_SLOW} || 1);
    no strict 'refs';
    *{ caller() . "::$_" } = \&{$_} for qw(child_perl run_perl drops leaks), @_;
    return;
}

# How many Rust values the code drops, and how many scalars it leaves behind in many runs.
sub drops (&) { my $before = dropped(); $_[0]->(); return dropped() - $before }

sub leaks (&) {
    my ($code) = @_;
    my $runs = 50;
    $code->() for 1 .. 3;
    my $before = sv_count();
    $code->() for 1 .. $runs;
    my $left = sv_count() - $before;
    return $left < $runs ? 0 : $left;
}

# Runs perl with these arguments, where it finds the extension: its output, both streams, and $?. A
# leading array is what the command begins with.
sub run_perl {
    my @before = ref $_[0] ? @{ +shift } : ();
    my (@arguments) = @_;
    local $ENV{PERLXS_TEST_LIB} = $INC[0];
    my $lib = File::Basename::dirname(File::Basename::dirname(__FILE__));
    my $pid = open my $fh, '-|';
    die "fork: $!" if !defined $pid;
    if (!$pid) {
        open STDERR, '>&', \*STDOUT;
        exec @before, $^X, "-I$lib", @arguments or die "exec: $!";
    }
    my $output = do { local $/; <$fh> };
    close $fh;
    return ($output, $?);
}

# Runs a program in a perl of its own, with the extension loaded. Returns its output, both
# streams, and its exit status, or "signal N".
sub child_perl {
    my ($program) = @_;
    my ($output, $status) = run_perl('-MPerlXS::Test', '-e', $program);
    return ($output, $status & 127 ? 'signal ' . ($status & 127) : $status >> 8);
}

1;
