package SpawnTest;

# What the tests of Linux::Clone::spawn share.

use strict;
use warnings;

use CloneTest ();
use Exporter 'import';
use Linux::Clone qw(spawn);

our @EXPORT = qw(spawn end output told);

sub refusal { return sprintf 'errno %d: %s', $! + 0, $Linux::Clone::error }

# How a child ends: "exit N", "signal N", or "errno N: MESSAGE" if there is none.
sub end {
    my $child = spawn(@_) or return refusal();
    $child->wait == $child->pid or die "wait: $!";
    return CloneTest::ended();
}

# All that a child writes to a pipe, and its status if that is not 0.
sub heard {
    my ($child, $read, $write) = @_;
    close $write;
    my $text = do { local $/; <$read> };
    $child->wait;
    return $? ? "status $?: $text" : $text;
}

# What a program writes to its standard output.
sub output {
    my (@options) = @_;
    pipe my $read, my $write or die "pipe: $!";
    my $child = spawn(stdout => $write, @options) or return refusal();
    return heard($child, $read, $write);
}

# What a coderef returns, or dies of.
sub told {
    my ($code, @options) = @_;
    pipe my $read, my $write or die "pipe: $!";
    my $child = spawn(@options, code => sub {
        close $read;
        my @said = eval { $code->() };
        print {$write} @said, $@ ne '' ? "died: $@" : ();
        close $write;
        return 0;
    }) or return refusal();
    return heard($child, $read, $write);
}

1;
