package AuthorTest;

# What the author tests share. Importing it arms the alarm.

use strict;
use warnings;

use Cwd ();
use Exporter 'import';
use File::Basename ();
use File::Copy ();
use File::Find ();
use File::Path ();
use File::Spec;
use File::Temp ();
use Test::More;

our @EXPORT = qw(top tracked files copy_checkout run runs slurp spew);

alarm 1200;

# A test stands for a user's shell, not for the make or prove that started it.
delete @ENV{qw(CARGO_TARGET_DIR CC CFLAGS HARNESS_OPTIONS MAKEFLAGS MAKELEVEL MFLAGS PERL PERL5LIB
    PERL5OPT PERL_MB_OPT PERL_MM_OPT PERLXS_PROFILE PERLXS_TEST_LIB)};

# The top of the checkout.
sub top {
    return Cwd::abs_path(File::Basename::dirname(__FILE__) . '/../../..');
}

# The files that git has, or would have after `git add`; not those removed.
sub tracked {
    my ($status, $output) = run(top(), 'git', 'ls-files', '-co', '--exclude-standard');
    BAIL_OUT("git ls-files: $output") if $status;
    return sort grep { -e top() . "/$_" } split /\n/, $output;
}

# Files below a directory, relative.
sub files {
    my ($dir) = @_;
    my @files;
    File::Find::find({ no_chdir => 1, wanted => sub { push @files, substr $_, length "$dir/" if -f } }, $dir);
    return sort @files;
}

# A copy of the checkout as it is now, uncommitted changes too, in a directory that goes away.
sub copy_checkout {
    my $copy = File::Temp::tempdir('linux-clone-XXXXXX', TMPDIR => 1, CLEANUP => 1);
    for my $file (tracked()) {
        my $target = "$copy/$file";
        File::Path::make_path(File::Basename::dirname($target));
        File::Copy::copy(top() . "/$file", $target) or die "$target: $!";
        chmod((stat top() . "/$file")[2] & 07777, $target) or die "$target: $!";
    }
    return $copy;
}

# Runs a command in a directory: its exit status as in $?, and its output, both streams. Leading
# hash: changes to the environment, undef to take one out.
sub run {
    my $env = ref $_[0] ? shift : {};
    my ($dir, @command) = @_;
    my $pid = open my $fh, '-|';
    die "fork: $!" if !defined $pid;
    if (!$pid) {
        for my $name (keys %$env) {
            defined $env->{$name} ? $ENV{$name} = $env->{$name} : delete $ENV{$name};
        }
        open STDIN, '<', File::Spec->devnull;
        open STDERR, '>&', \*STDOUT;
        chdir $dir or die "$dir: $!";
        exec { $command[0] } @command or die "$command[0]: $!";
    }
    my $output = do { local $/; <$fh> } // '';
    close $fh;
    return ($?, $output);
}

# A test: the command succeeds. Returns its output.
sub runs {
    my ($name, @command) = @_;
    my ($status, $output) = run(@command);
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is $status, 0, $name or diag $output;
    return $output;
}

sub slurp {
    my ($file) = @_;
    open my $fh, '<', $file or die "$file: $!";
    local $/;
    return <$fh> // '';
}

sub spew {
    my ($file, $text, $mode) = @_;
    open my $fh, '>', $file or die "$file: $!";
    print {$fh} $text;
    close $fh or die "$file: $!";
    chmod $mode // 0644, $file or die "$file: $!";
    return;
}

1;
