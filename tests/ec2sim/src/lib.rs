//! A simulator of the parts of EC2, SSM and STS that decide the life of an AMI.
