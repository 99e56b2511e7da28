from setuptools import setup
from torch.utils.cpp_extension import BuildExtension, CppExtension

setup(
    name="tiny",
    packages=["tiny"],
    ext_modules=[
        CppExtension("tiny._blend", ["csrc/blend.cpp"]),
        CppExtension("tiny._gate", ["csrc/gate.cpp"]),
    ],
    cmdclass={"build_ext": BuildExtension},
)
