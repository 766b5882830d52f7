package SpawnTest;

# What the tests of Linux::Clone::spawn share.

use strict;
use warnings;

use CloneTest ();
use Exporter 'import';
use File::Copy ();
use File::Temp ();
use Linux::Clone qw(spawn);

our @EXPORT = qw(spawn end output told as_user);

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

# Runs code as a user without privileges, in a perl of its own, where these are the ranges and
# these files are hidden; root first runs $prepare there.
sub as_user {
    my ($subuid, $subgid, $hidden, $program, $prepare) = @_;
    my %file = (subuid => $subuid, subgid => $subgid);
    my $dir = File::Temp->newdir;
    chmod 0755, $dir or die $!;
    # one that stays when /usr/bin is hidden
    File::Copy::copy($^X, "$dir/perl") && chmod 0755, "$dir/perl" or die $!;
    mkdir "$dir/empty" or die $!;
    for (keys %file) { open my $fh, '>', "$dir/$_" or die $!; print {$fh} $file{$_}; close $fh; chmod 0644, "$dir/$_" }
    return output(
        flags => Linux::Clone::NEWNS(),
        env   => { %ENV, PERL5LIB => join(':', @INC), PERL_BADLANG => 0 },
        exec  => [ $^X, '-e', <<'PERL', $^X, "$dir", $program, $prepare // '', @$hidden ]);
            use POSIX ();
            my ($perl, $dir, $program, $prepare, @hidden) = @ARGV;
            open STDERR, '>&', \*STDOUT;
            sub run { system(@_) == 0 or die "@_" }
            for (qw(subuid subgid)) { run('mount', '--bind', "$dir/$_", "/etc/$_") }
            # what perl loads, where everybody can read it
            my @inc;
            for (grep { -d } @INC) {
                my $readable = "$dir/inc" . @inc;
                mkdir $readable;
                run('mount', '--bind', $_, $readable);
                push @inc, $readable;
            }
            $ENV{PERL5LIB} = join ':', @inc;
            for (@hidden) { run('mount', '--bind', -d $_ ? "$dir/empty" : '/dev/null', $_) }
            eval "$prepare; 1" or die $@;
            $) = '65534 65534';
            POSIX::setgid(65534); POSIX::setuid(65534);
            # exec makes /proc/self the user's
            exec "$dir/perl", '-e', 'use strict; use warnings; use Linux::Clone qw(spawn); use SpawnTest; use ProcessTest qw(slurp children ids map_of); ' . $program;
PERL
}

1;
